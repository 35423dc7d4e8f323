from multiprocessing import Process, Queue
from random import Random
from time import sleep, time

def producer(q):
    delay = Random(1)
    for _ in range(500):
        q.put(time())
        sleep(delay.expovariate(200))

if __name__ == "__main__":
    for busy in (0.5, 0.9):
        q, work, waited = Queue(), Random(2), 0
        Process(target=producer, args=(q,)).start()
        for _ in range(500):
            put_at = q.get()
            waited += time() - put_at
            sleep(work.expovariate(200 / busy))
        print(f"{busy:.0%} busy: {waited / 500 * 1000:.1f} ms")
