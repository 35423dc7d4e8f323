from multiprocessing import JoinableQueue, Process
from time import sleep

def consumer(q):
    item = q.get()
    sleep(1)
    print("worked on", item, flush=True)
    q.task_done()

if __name__ == "__main__":
    q = JoinableQueue()
    q.put("report")
    Process(target=consumer, args=(q,)).start()
    q.join()
    print("join has returned")
