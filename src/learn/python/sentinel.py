from multiprocessing import Process, Queue

def producer(q):
    for item in "abc":
        q.put(item)
    q.put(None)

if __name__ == "__main__":
    q = Queue()
    Process(target=producer, args=(q,)).start()
    while (item := q.get()) is not None:
        print("got", item)
