# A queue on a server: errors, notices, and what a server says of itself.
server-unreachable = the server { $server } cannot be reached ({ $cause }): start it, or give its address with --server
server-silent = the server { $server } does not answer ({ $cause }): what has no answer may have been done or not
server-credentials = the server { $server } refuses the password or the user ({ $cause }): give the password in QDEMO_SERVER_PASSWORD
server-sentinel-credentials = the Sentinel { $sentinel } refuses the password ({ $cause }): give the Sentinels' own password in QDEMO_SERVER_SENTINEL_PASSWORD
server-unknown-primary = the Sentinels of { $server } know no primary of that name: write the name of their `sentinel monitor` behind the hosts
server-only-tls = the server { $server } wants TLS at this port: write { $scheme }:// in the URL, or give its port without TLS
server-no-tls = the server { $server } has no TLS at this port: write { $scheme }:// in the URL, or give its tls-port
server-rights = the user has no right to { $rights } on the server { $server }: `ACL SETUSER` grants it, docs/SERVER.md has the whole rule
server-certificate = the server { $server } is not trusted ({ $cause }): give its certificate authority with --server-ca, and the host as its certificate names it
server-other-kind = what answers at { $server } is no Redis or Valkey server ({ $cause }): check the address
server-too-old = the server { $server } is too old: qdemo needs Redis 7.0 or Valkey 7.2, or later ({ $cause })
server-read-only = the server { $server } is a read-only replica: give the address of its primary, or of its Sentinels
server-out-of-memory = the server { $server } has no memory left: `get` makes room, or raise its maxmemory
server-cannot-save = the server { $server } takes no writes, as it cannot save them ({ $cause }): mend its disk
server-layout = a newer qdemo has laid out the queue on the server { $server } (layout { $layout }): use that version
server-foreign-key = the key `{ $key }` on the server { $server } is not qdemo's: take another queue name, or another ?prefix=
server-forgotten = the server { $server } does not know this client any more
server-unread = this client has not read what the server has sent: more than 64 MiB wait, and it counts as dead
server-ca-file = the certificate authorities in { $file } cannot be used: { $cause }
server-not-durable = the server { $server } cannot keep items over its own end ({ $cause }): --sync needs `appendonly yes`, and before Redis 7.2 `appendfsync always` too
server-system = the connection to the server cannot be served: { $cause }
server-unexpected = the server { $server } does not do what was asked: { $cause }
server-evicts = the server { $server } may drop items when its memory is full (maxmemory-policy { $policy }): set the policy to noeviction, or give --allow-eviction

server-no-answer-yet = no answer in time
server-connection-ended = the connection has ended
server-lookup-failed = cannot resolve the host name
server-invalid-certificate = invalid peer certificate: { $detail }
server-no-address = the host has no address
server-unknown-address = the address is of an unknown kind
server-no-append-only-file = it keeps no append-only file
server-no-durability-answer = it does not tell whether it writes to its disk before it answers
server-answers-early = it answers before it writes to its disk
server-slow-disk = its disk is too slow
server-right-script = `time`, or another command of its script
server-right-channels = the channels of the queue
server-right-keys = the keys of the queue

server-trying-again = { $error }; trying again
server-answers-again = the server answers again
server-keeps-nothing = the server { $server } keeps nothing on its disk (neither AOF nor RDB): all items are lost when it ends; `CONFIG SET appendonly yes` keeps them
server-synced = the items are on the server's disk
server-synced-replicas = the items are on the server's disk, and on { $reached } of { $replicas ->
    [one] { $replicas } replica
   *[other] { $replicas } replicas
 }
server-loss = the server has lost the last of what it had confirmed: { $items ->
    [0] items may come twice
    [one] 1 item of this client is missing
   *[other] { $items } items of this client are missing
 }

server-facts = server { $server }: { $details }
server-fact-primary = primary { $place }
server-fact-cluster = a cluster of { $primaries ->
    [one] 1 primary
   *[other] { $primaries } primaries
 }
server-fact-persistence = persistence { $persistence }
server-fact-version = version { $version }
server-fact-replicas = { $replicas ->
    [one] 1 replica
   *[other] { $replicas } replicas
 }
server-fact-replicas-unknown = replicas { $unknown }
server-fact-policy = maxmemory-policy { $policy }
server-fact-separator = {", "}
server-unknown = unknown (the user has no right to ask)
server-persistence-none = none
server-persistence-aof-no = AOF no
server-persistence-aof-every-second = AOF every second
server-persistence-aof-always = AOF always

server-url = invalid value of { $place }: { $error }
server-unreadable = cannot read { $path } for { $place }: { $error }: name a file that you can read
server-no-password = { $path } for { $place } holds no password: write it there, in one line
server-not-utf8 = invalid value of { $place }: it is not UTF-8
server-ca-without-tls = { $place } is for a connection with TLS: write the URL with rediss://, or leave { $place } out

server-url-none = that is not a URL: write redis://HOST, or redis+unix:///PATH for a socket
server-url-scheme = the scheme `{ $scheme }` is not known: write redis://, rediss:// for TLS, redis+unix:// or redis+sentinel://
server-url-unescaped = a part of it has a character that a URL must escape: write %23 for #, %40 for @, %2F for /, %3F for ?
server-url-not-utf8 = a part of it is not UTF-8 behind its %: write %25 for %
server-url-no-host = it names no host: write redis://HOST, such as redis://localhost
server-url-host = its host is not a name and not an address: write redis://HOST:PORT, with an IPv6 address in [ ]
server-url-port = its port is not a number from 1 to 65535: write redis://HOST:6379
server-url-several-hosts = only Sentinels may be several hosts: write redis+sentinel://HOST,HOST/SERVICE
server-url-database = its database is not a number: write redis://HOST/0, or redis+unix:///PATH?db=0
server-url-host-before-socket = it has a host before the path of the socket: write redis+unix:///PATH, with three slashes
server-url-no-socket = it has no path of a socket: write redis+unix:///PATH
server-url-no-service = it does not name the primary: write redis+sentinel://HOST/SERVICE, or SERVICE/DB
server-url-parameter-of-host = the parameter `{ $parameter }` is not known: there is prefix=WORD, and the database is the /N at the end of the path
server-url-parameter-of-socket = the parameter `{ $parameter }` is not known: there are db=N and prefix=WORD
server-url-repeated = the parameter `{ $parameter }` stands there twice: leave one out
server-url-prefix = its prefix is not a word: write 1 to { $max } letters, digits, `-`, `_` and `.`
