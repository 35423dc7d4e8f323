import queue
from multiprocessing import Queue

if __name__ == "__main__":
    q = Queue()
    q.put("tea")
    print("another customer:", q.get())
    try:
        print(q.get(timeout=1))
    except queue.Empty:
        print("empty")
