# Why an item has failed. The English texts are in the journal and on the wire; a client shows them in its own language.
reason-exit-code = exit code { $code }
reason-signal = killed by signal { $signal }
reason-unknown = ended in an unknown way
reason-timeout = took longer than --timeout-each ({ $how })
reason-last-try = { $reason }, at the last of { $tries } tries
reason-no-argument = no argument can hold it: leave {"{}"} out, and it comes on standard input
reason-consumer-died = its consumer died, or held it for longer than its lease
reason-consumers-died = { $consumers } consumers died of it, or held it for longer than their lease
reason-not-expected = it is not what was expected: { $error }
