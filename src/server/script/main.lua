-- The call: checks that change nothing, then the requests, what is due, the steps, and what has changed is written back.

-- How old the moment in a hello may be that makes the queue.
local HELLO_LIFETIME = 10000
-- The time of the server when the client began to make the queue, if it did.
local HELLO_MOMENT = tonumber(ARGV[4])
local MAX_LINE_BYTES = 4096
-- A client that was connected for this time stays: it is heard at least every second from now on.
local STAY = 1000
-- A command has at most this many arguments in a list: Lua has a limit of 8000.
local MAX_ARGUMENTS = 1000

local announced, first_request_at = nil, 1
if sub(REQUESTS, 1, 6) == 'hello ' then
    -- Before any command: the error of a command would name only that one.
    local missing = hello().missing_rights()
    if missing then return redis.error_reply('QDEMO_RIGHTS ' .. missing) end
    local line_end = find(REQUESTS, '\n', 1, true) or #REQUESTS + 1
    announced, first_request_at = hello().parse_hello(sub(REQUESTS, 7, line_end - 1)), line_end + 1
    if not announced or not find(CALLER, '^%x+$') or #CALLER ~= 16 then
        return redis.error_reply('QDEMO_MALFORMED the first request is no hello')
    end
    local foreign = hello().foreign_part()
    if foreign then return redis.error_reply('QDEMO_FOREIGN ' .. foreign) end
end

local clock = call('TIME')
now = clock[1] * 1000 + floor(clock[2] / 1000)
local stored = call('GET', META)
if stored and string.byte(stored, #MAGIC + 1) ~= LAYOUT then
    return redis.error_reply('QDEMO_LAYOUT ' .. (string.byte(stored, #MAGIC + 1) or 0))
end
queue = unpack_queue(stored)
if announced then
    if announced.queue_id and announced.queue_id ~= queue.id then
        return redis.error_reply('QDEMO_GONE the queue was removed')
    end
    if client(CALLER) and CONVERSATION < client(CALLER).conversation then
        return redis.error_reply('QDEMO_LATE the client has begun a later conversation')
    end
    if not stored and announced.only_existing ~= true then
        -- A hello that arrives late, when its queue was removed, must not make the queue again.
        if not HELLO_MOMENT or now - HELLO_MOMENT > HELLO_LIFETIME then
            return redis.error_reply('QDEMO_ABSENT ' .. decimal(now))
        end
        queue.id = CALLER .. format('%012x', now)
    end
elseif not stored or not client(CALLER) or client(CALLER).is_dead == 1
    or (REQUESTS ~= '' and CONVERSATION ~= client(CALLER).conversation) then
    return redis.error_reply('QDEMO_UNKNOWN the server does not know this client')
end

-- The first write. A full server refuses SETRANGE, and then nothing of a call with a put happens; it never refuses ZREM, and then
-- it takes every later write of this call. Both change nothing. Only behind a put are there lines that are no requests.
if sub(REQUESTS, 1, 4) == 'put ' or find(REQUESTS, '\nput ', 1, true) then
    call('SETRANGE', META, 0, '')
else
    call('ZREM', TIMERS, '')
end

local function handle_requests(at)
    local size = #REQUESTS
    while not is_over and at <= size do
        local line_end = find(REQUESTS, '\n', at, true)
        if not line_end or line_end - at > MAX_LINE_BYTES then
            return requests.expel('malformed', 'the line is longer than a request')
        end
        local verb, rest = match(sub(REQUESTS, at, line_end - 1), '^([^ ]*) ?(.*)$')
        at = line_end + 1
        if verb == 'put' then
            at = requests.handle_put(rest, at)
        else
            local handle = requests.frequent[verb] or changes()[verb] or queries()[verb]
            local malformed = not handle and 'no such request' or handle(rest)
            if malformed then reply_error(CALLER, 'malformed', malformed) end
        end
    end
end

local is_quiet = now - queue.last_heard > ABSENCE and queue.quiet_until <= queue.last_heard
if announced or is_quiet then clients().note_silence(is_quiet) end
local is_connected = true
if announced and announced.only_existing == true and not stored then
    reply_error(CALLER, 'missing', 'the queue does not exist')
    is_connected = false
elseif announced then
    is_connected = hello().handle_hello(announced)
end
if is_connected then
    local c = client(CALLER)
    c.heard = now
    -- Commands that come and go say nothing about the network of those that stay.
    if now - c.since >= STAY then queue.last_heard = now end
    changed[CALLER] = true
    handle_requests(first_request_at)
end

-- Whether the queue has neither clients nor a past.
local function is_blank()
    return queue.clients + queue.last_id + queue.ended_at == 0 and queue.sentinel == NO_SENTINEL
        and queue.capacity == CAPACITY_OPEN
end

if not is_removed then
    if now >= queue.next_due then clients().handle_due() end
    steps.take_steps()
    if client(CALLER) then steps.store_waits() end
    is_removed = is_blank()
end
if is_removed then
    call('UNLINK', unpack(KEYS))
else
    local fields = {}
    for key in pairs(changed) do
        if #fields == MAX_ARGUMENTS then
            call('HSET', CLIENTS, unpack(fields))
            fields = {}
        end
        fields[#fields + 1] = key
        fields[#fields + 1] = pack_client(known[key])
    end
    if fields[1] then call('HSET', CLIENTS, unpack(fields)) end
    call('SET', META, pack_queue(queue))
end

-- What the bridge has to know of replies without reading them: 1 if they accept items of a queue with `sync`, plus 2 if they
-- tell the end.
local function flags_of(replies)
    return (queue.sync == 1 and replies.accepts and 1 or 0) + (replies.tells_end and 2 or 0)
end

local function publish(key, replies)
    call('SPUBLISH', CHANNEL .. key, flags_of(replies) .. table.concat(replies))
end

-- The caller comes first, because a server writes to the last connection first: a client that waits for an item is to have it
-- before the caller has its answer.
if mail[CALLER] then publish(CALLER, mail[CALLER]) end
for key, replies in pairs(mail) do
    if key ~= CALLER then publish(key, replies) end
end
return 1
