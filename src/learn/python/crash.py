import os, queue, signal
from multiprocessing import Process, Queue

def consumer(q):
    print("got", q.get(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    q = Queue()
    q.put("item0")
    p = Process(target=consumer, args=(q,))
    p.start()
    p.join()
    try:
        print("got", q.get(timeout=1))
    except queue.Empty:
        print("item0 is gone")
