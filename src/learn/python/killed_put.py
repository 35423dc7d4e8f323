from multiprocessing import Process, Queue
from time import sleep

def producer(q):
    q.put("x" * 10_000_000)

if __name__ == "__main__":
    q = Queue()
    p = Process(target=producer, args=(q,))
    p.start()
    sleep(1)
    p.kill()
    q.put("four")
    print("got", q.get()[:4])
    print("got", q.get()[:4])
