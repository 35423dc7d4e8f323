from multiprocessing import Process, Queue
from time import sleep

def producer(q):
    for i in range(5):
        q.put(f"item{i}")
        print(f"put {i}", flush=True)
        sleep(0.1)

if __name__ == "__main__":
    q = Queue()
    Process(target=producer, args=(q,)).start()
    for _ in range(5):
        print("got", q.get(), flush=True)
        sleep(0.3)
