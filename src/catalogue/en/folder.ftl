# The folders of queues, and the files and pipes in them.
folder-io = cannot use the directory { $path }
folder-symlink = { $path } is a symbolic link: name the real directory instead
folder-not-a-directory = { $path } is not a directory: move it away, or choose another with QDEMO_DIR
folder-wrong-owner = { $path } is owned by user { $user }, not by you: choose another directory with QDEMO_DIR
folder-writable = others can write to { $path }: run `chmod go-w` on it, or choose another with QDEMO_DIR
folder-accessible = others have access to { $path } (mode { $mode }): run `chmod 700` on it
folder-no-inbox = cannot make the inbox { $path }: { $error }
folder-not-removed = cannot remove { $path }: { $error }
folder-lock-failed = the thread has failed
folder-write-split = the kernel split a write of PIPE_BUF bytes

folder-journal-unusable = cannot use the journal { $path }
folder-journal-version = { $path } is not a journal of this version of qdemo: use the one that wrote it, or remove the queue with `qdemo rm --force`
folder-journal-outdated = the journal has an earlier version
folder-newer-state = { $path } was written by a newer qdemo: use that one
