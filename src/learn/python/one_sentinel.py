from multiprocessing import Process, Queue

def consumer(name, q):
    while (item := q.get()) is not None:
        print(name, "got", item, flush=True)
    print(name, "ends", flush=True)

if __name__ == "__main__":
    q = Queue()
    for name in "xyz":
        Process(target=consumer, args=(name, q)).start()
    for item in ("a", "b", "c", None):
        q.put(item)
