# What a keeper that cannot start or go on tells its starter.
keeper-no-folder = the queue's directory has been removed
keeper-no-mailbox = cannot open a client's mailbox
keeper-journal-failed = cannot write the queue's journal
keeper-upgrade-failed = cannot rewrite the queue's journal, which an earlier version of qdemo wrote; every item is still there
keeper-one-pipe = the two pipes of the client are one pipe
