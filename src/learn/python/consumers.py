from multiprocessing import Process, Queue
from time import sleep

def consumer(name, q):
    while (seconds := q.get()) is not None:
        sleep(seconds)
        print(name, "has finished", seconds, flush=True)

if __name__ == "__main__":
    q = Queue()
    for seconds in (0.1, 1.5, 0.1, 0.2, 0.1, 0.3, None, None):
        q.put(seconds)
    for name in ("consumer 1", "consumer 2"):
        Process(target=consumer, args=(name, q)).start()
