from multiprocessing import Queue

if __name__ == "__main__":
    q = Queue()
    q.put("tea")
    print(q.qsize(), q.empty())
    print(q.get())
    print(q.qsize(), q.empty())
