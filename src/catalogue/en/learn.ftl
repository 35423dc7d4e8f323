# The lessons of `qdemo learn`. Each line of a text is a paragraph. The first line of an -ask message is the question, and
# each further line is a choice. Each line of a -next message belongs to one command.

learn-heading = { $number }. { $title }
learn-print-note = `qdemo learn 1` asks the questions of lesson 1, and so on. In the commands here, `--speed max` skips the waiting: leave it out to watch.
learn-in-python = In Python:
learn-in-shell = With qdemo:
learn-question = **What do you expect?** { $question }
learn-answer = **Answer { $number }.** { $why }
learn-try-next = Try next:
learn-python-output = Python prints:
learn-python-runs = Python prints (this takes some seconds):
learn-no-choice = Type a number from 1 to { $last }, or q to stop.
learn-colon = a lesson puts a folder for temporary files on the PATH, and its name has a colon: set TMPDIR to another folder
learn-python-stopped = The Python program was still waiting after { $seconds } seconds. It would wait forever, so it was ended.
learn-go-on = [q] stop, [Enter] go on
learn-go-on-or-picture = [q] stop, [p] draw a picture, [Enter] go on
learn-picture = The picture is in { $file }, in the current folder. Open it in a browser.
learn-choose = Your answer, 1 to { $last } (q: stop, [Enter]: just run it):
learn-right = Right: { $number }.
learn-wrong = Not quite: the answer is { $number }.
learn-unanswered = The answer is { $number }.
learn-list = Lessons on queues, a few minutes each. You read, guess what will happen, and see it happen.
learn-list-next = Go on with: qdemo learn { $number }
learn-list-complete = You have completed all lessons. You can repeat each of them: qdemo learn 1
learn-completed = Lesson { $number } is complete. The next one: qdemo learn { $next }
learn-completed-last = Lesson { $number } is complete, and it is the last one. You know how queues behave.

learn-no-such-lesson = there is no such lesson: give a number from 1 to { $last } (`qdemo learn` lists them)
learn-no-python = no python3 on the PATH: install Python 3, or leave out --python
learn-python-of-what = --python needs a lesson: `qdemo learn 1 --python`
learn-cannot-start = cannot start `{ $program }`: a lesson needs it on the PATH

learn-fifo-title = First in, first out
learn-fifo-lead =
    A queue is a line of people at a counter: the first to come is the first to be served. One process, the producer, puts items in at the end. Another process, the consumer, gets them at the front.
    Here the producer puts an item every second, five in all. The consumer is slower: it works three seconds on each item. (The Python program does the same, ten times as fast.)
learn-fifo-ask =
    The producer has just put its last item. How many items has the consumer got by then?
    All five: they take turns, put and get
    Four: it is always one item behind
    Two: the other items wait in the queue
learn-fifo-why =
    The producer never waits for the consumer. After four seconds it has put all five items, and the consumer has only begun its second one. The others wait in the queue, and come out in the order in which they went in.
    That is what a queue is for: two processes work each at its own pace, and nothing gets lost or out of order.
learn-fifo-next =
    A fast consumer. Who waits for whom now?
    Two producers. The items of each stay in order.

learn-capacity-title = Capacity: when the producer waits
learn-capacity-lead =
    In lesson 1 the queue grew and grew. With a million items it would fill the memory. So a queue can have a capacity: the number of items that may wait in it. While the queue is full, a put waits for room. We say that the put blocks.
    Here the capacity is 2. The producer has five items at hand, and puts them as fast as it may. The consumer works two seconds on each item, in Python half a second. `--format trace` shows the time of each event, who waits, and how full the queue is. The parent in it is the process that has started the other two, and that marks the end with a sentinel (lesson 3).
learn-capacity-ask =
    How many items does the producer put before it has to wait for the first time?
    1
    2
    3
    5
learn-capacity-why =
    The consumer gets the first item at once. An item in its hands is no longer in the queue, so there is room for two more: three puts, and then the producer waits.
    From there on each put follows a get: the producer works at the pace of the consumer. This is back-pressure. Nobody has told the producer to be slow; the full queue does it. (In Python the lines of the two processes may change places.)
learn-capacity-next =
    Without a capacity: all five puts come at once.
    The line `blocked` tells how long the producer has waited.

learn-sentinel-title = The sentinel: how a consumer learns of the end
learn-sentinel-lead =
    When the queue is empty, `get` waits for the next item. But what if no item will ever come? An empty queue does not say so. In Python the producer therefore puts one more item, which means "this is the end". It is often `None`, and its name is sentinel.
    Here the producer (`qdemo producer`) puts three items and leaves. Only then the consumer starts. A command such as `qdemo put` is no producer that can leave: it puts its items, and the queue stays open.
learn-sentinel-ask =
    What does the consumer do?
    It gets nothing: the items have gone with their producer
    It gets three items, and waits for a fourth
    It gets three items, and ends
learn-sentinel-why =
    The items are in the queue, whether their producer lives or not. And the queue knows that its last producer has left: it puts the sentinel behind the last item by itself, and so the consumer ends.
    In Python you write `q.put(None)` yourself. Without that line the loop would wait forever.
learn-sentinels-lead =
    Now several consumers. In Python the consumer that gets the `None` takes it away, and the others never see it. So the producer puts one `None` for each consumer, and has to know how many there are.
    With qdemo: two items, and then four times `get`.
learn-sentinels-ask =
    What do the third and the fourth `get` do?
    The third one sees the end. The fourth one waits forever
    Both see the end
    Both wait for more items
learn-sentinels-why =
    The sentinel of qdemo is a mark and not an item: nobody can take it away. Each `get` behind the last item learns that the queue has ended (exit code 4), however many there are. The producer need not know how many consumers there are.
    Lesson 9 shows what happens in Python with one `None` for three consumers.
learn-sentinel-next =
    `put` leaves the queue open: it puts no sentinel.
    It gets three items and waits for more (Ctrl-C ends it).
    Afterwards: removes the queue.

learn-consumers-title = Several consumers: who gets what
learn-consumers-lead =
    One consumer is too slow? Start a second one on the same queue. Each item goes to exactly one of them.
    Here six items are ready, and two consumers begin. Some items take long and some do not, and nobody knows that beforehand (`exp:2s`: random, two seconds on average). The times in the Python program are fixed, and shorter.
learn-consumers-ask =
    How many items does each consumer get?
    Three each: they take turns
    One gets five, the other gets one
    Six each: all consumers get all items
learn-consumers-why =
    Nobody deals the items out. A consumer that is free takes the next one. Consumer 2 had bad luck: its first item took the whole time. Meanwhile consumer 1 did the other five. So the work spreads by itself, and nobody is idle while items wait.
    One thing to remember: item1 was taken as the second, and was finished as the last. The queue keeps the order in which items are taken, and not the one in which they are finished.
learn-consumers-next =
    All items take two seconds. Now it looks like taking turns.
    Three consumers, and other random times in each run.

learn-crash-title = A crash in the middle of the work
learn-crash-lead =
    A consumer has taken an item, and dies: a bug, no memory left, `kill -9`. Where is its item? In Python it was in the memory of the dead process, so it is gone. The program below loses it.
    qdemo keeps an item that it has delivered, until the consumer says that it is done. Below, `--chaos 4s` kills a process at a random moment. It hits the consumer, which works on item2 while item3 waits. Another process takes the consumer's place.
learn-crash-ask =
    What happens to item2?
    It is lost
    It goes to the end of the queue, behind item3
    It goes back to its old place, before item3
learn-crash-why =
    item2 is ready again at its old place, and the next consumer gets it: attempt 2. Nothing is lost, and the order stays.
    But the dead consumer had worked on item2 already, perhaps almost to the end. So an item may be worked on twice. This is called "at least once": never zero times, sometimes twice. Write your work so that a second time does no harm, or look at the attempt: a command of `qdemo consumer` finds it in the variable QDEMO_ATTEMPT.
learn-crash-next =
    Other random kills, which hit the producer too. A producer's death doubles no item: only those come twice that a consumer held.
    Five processes, and a kill each second. Count the items: all 20 are done.

learn-join-title = join: when the work is done
learn-join-lead =
    An empty queue does not mean that the work is done: the last item may be in the hands of a consumer. In Python a `JoinableQueue` counts. Each `put` adds one, and each `task_done` takes one away. `join` waits for zero.
    `qdemo consumer` reports an item as done when its command has ended. Here the command takes a second, and prints `done`.
learn-join-ask =
    The consumer takes the only item: the queue is empty. When does `join` return?
    At once: the line of `join` comes first
    After the work: the line of `done` comes first
    Never: nobody has closed the queue
learn-join-why =
    `join` does not look whether the queue is empty. It waits until each item is done. For one second the item was neither waiting nor done: it was in flight.
    In Python a forgotten `task_done` lets `join` wait forever, and so does a consumer that dies. With qdemo the item of a dead consumer goes to another one, as in lesson 5.
learn-join-next =
    Two items, and nobody to work on them.
    It gives up after a second: exit code 3.
    With `get`, an item is done as soon as it is printed. Try `join` again.
    Afterwards: removes the queue.

learn-empty-title = Why empty() and qsize() mislead
learn-empty-lead =
    `if not q.empty(): item = q.get()` looks careful. Python's manual warns that `empty` and `qsize` are not reliable. Look at the program: one process, one put, and then both questions. (`--python` runs it.)
learn-empty-ask =
    What does the Python program usually print in its first line, for `q.qsize()` and `q.empty()`?
    1 False
    0 True
    1 True
learn-empty-why =
    One item, and empty! Python's `put` only hands the item to a thread, and returns. `qsize` has counted it already. `empty` looks into the pipe between the processes, and the thread has not written there yet. Both tell the truth about different things. (On a busy machine you may see `1 False`. It depends on luck, and that is the point. Try it with `--python`.)
    `qdemo put` returns when the queue has the item. So a look into the queue, `peek`, finds it every time.
learn-race-lead =
    But even a correct look is out of date when you act on it. In a shop is one last packet of tea. You look at the shelf (`peek`): it is there. Another customer takes it (`get`). Then you reach for it (`get --no-wait`).
learn-race-ask =
    What does your `get --no-wait` do?
    It prints `tea`: you saw it first
    It prints that the queue is empty, with exit code 3
    It waits until there is tea again
learn-race-why =
    Looking and taking are two steps, and anything can happen between them. So do not ask first: take, and be ready for "nothing there". That is one step. `get --no-wait` and `get --timeout 1s` do this, and in Python `q.get(timeout=1)` with `queue.Empty`.
    A plain `get` would have waited here, perhaps forever.
learn-empty-next =
    Wait for tea for three seconds at most.
    The numbers are right at this moment. They are for people, and not for an `if`.

learn-utilization-title = Utilization: why waiting explodes near 100 %
learn-utilization-lead =
    A consumer that works half of the time has a utilization of 50 %. It looks like waste. So give it more to do, up to 95 %, and it is almost never idle!
    Here an item comes every second on average, but not regularly (`exp:1s`). First the consumer needs 500 ms for an item on average, and then 950 ms. There are 2000 items, and `--speed max` skips the time. Look at the column `mean` of the line `wait`.
learn-utilization-ask =
    The work on an item takes 1.9 times as long. How much longer does an item wait in the queue?
    About 2 times as long
    About 4 times as long
    More than 30 times as long
learn-utilization-why =
    Random arrivals sometimes come close together: a bunch. A consumer with free time works off a bunch quickly. A consumer that is busy at 95 % needs ages for it, and meanwhile the next bunch comes.
    If both times are exponential (`exp:`), there is a formula, with the utilization ρ: wait = work × ρ / (1 - ρ). At 50 % the factor is 1, at 95 % it is 19, at 99 % it is 99. So plan for 70 or 80 %: idle time is what keeps the queue short. (The Python program is 200 times as fast, ends at 90 %, and has 500 items, to take only seconds: there the wait grows about tenfold.)
learn-utilization-next =
    80 %: the factor is 4.
    Still 95 %, but each item takes the same time. Regular work halves the wait.
    The whole curve: from 10 % to 95 %, measured and beside the theory.

learn-mistakes-title = Three classic mistakes
learn-drain-lead =
    Mistake 1: to wait for the producer before reading. The Python program starts a producer with 100,000 numbers, waits for its end with `p.join()`, and only then reads.
    With qdemo in the same order: first the producer to its end, then the reader.
learn-drain-ask =
    Nobody reads. When does `qdemo put` end?
    Never: it waits for a reader, as the Python program does
    Soon: it needs no reader
    It fails: the queue is full
learn-drain-why =
    `qdemo put` ends when the queue has all numbers. The queue keeps them in a file, so the reader may come tomorrow.
    In Python they are in a pipe, with room for 64 KiB. The producer cannot end before it has written everything. The pipe has no room until somebody reads. And the reader waits in `p.join()`. So each waits for the other: a deadlock. The cure: first get, then join.
learn-kill-lead =
    Mistake 2: to kill a process that puts (`kill -9`, `p.kill()`, `p.terminate()`). In the Python program it dies in the middle of an item. It leaves half an item in the pipe, and a lock that nobody will ever open. `q.put("four")` returns, but the item never gets through.
    With qdemo: one process has put `one` and `two`, and has read only a part of the next line, `thr`, when it is killed. Then another process puts `four`.
learn-kill-ask =
    What does the last `get` print?
    thr
    four
    Nothing: it waits forever, as in Python
learn-kill-why =
    An item is in the queue as a whole, or not at all. With qdemo each process has a pipe of its own to the queue, and there is no lock: half an item dies with its sender, and nobody else notices.
learn-one-lead =
    Mistake 3: one sentinel for three consumers. The Python program starts three consumers, and puts three items and one `None`. (`--python` runs it.)
    With qdemo: three items, three consumers, and the sentinel that the queue has anyway.
learn-one-ask =
    How many of the three Python consumers wait forever?
    1
    2
    All 3
learn-one-why =
    One consumer takes the `None` and ends. The other two wait for an item that never comes, and the program never ends. It needs one `None` for each consumer, as in lesson 3.
    With qdemo all consumers learn of the end, and all processes finish.
learn-mistakes-next =
    How fast are both? This measures qdemo beside multiprocessing.Queue.
