# The manual pages.
man-manual = User Commands
man-name = NAME
man-synopsis = SYNOPSIS
man-description = DESCRIPTION
man-subcommands = SUBCOMMANDS
man-examples = EXAMPLES
man-exit-status = EXIT STATUS
man-exit-status-text = 0: done. 1: something failed. 2: the command is not valid, and nothing was started. 3: the command would wait longer than its timeout (the queue is full or empty, or items are not done). 4: the queue is closed or has ended. 126: the command for the items cannot be executed. 127: the command for the items does not exist. A command that leaves because of a signal dies by that signal. Process 1 of a container exits with 128 + the signal number.
man-signals = SIGNALS
man-signals-text = The first SIGINT, SIGTERM or SIGHUP asks a command to leave. The second one ends the command at once. SIGTSTP stops a consumer together with its commands. A signal that is ignored when the command starts stays ignored, except SIGINT if SIGQUIT is ignored too, as in a command that a script starts with &.
man-environment = ENVIRONMENT
man-variable-dir = The folder of the queues; by default {"${"}XDG_STATE_HOME:-~/.local/state{"}"}/qdemo.
man-variable-queue = The queue of a command without --queue; by default default.
man-variable-server = The URL of the Redis or Valkey server that has the queue of a command without --server; by default the queue is on this machine. run, timeline and bench ignore the variable. With --server, other users of the machine can see the URL in a list of processes: give a password in QDEMO_SERVER_PASSWORD or in a file.
man-variable-password = The file with the password for the server, or the password. The file comes before the password, and both come before a password in the URL.
man-variable-ca = The file with the certificate authorities of a command without --server-ca; by default those of the system.
man-variable-lang = The language of a command without --lang: ja or en. By default the locale decides (LC_ALL, LC_MESSAGES, LANG), and the log lines of run, producer and consumer are Japanese.
