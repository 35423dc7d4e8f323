from multiprocessing import Process, Queue

def producer(q):
    for n in range(100_000):
        q.put(n)

if __name__ == "__main__":
    q = Queue()
    p = Process(target=producer, args=(q,))
    p.start()
    p.join()
    print("got", q.get())
