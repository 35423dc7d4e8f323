-- The first request of a connection: a client connects, or resumes.

local DEFAULT_MAX_ITEM_BYTES, MAX_ITEM_BYTES = 16 * 1048576, 256 * 1048576

-- What the script may have to run, each with words that show the keys and the channel.
local function missing_rights()
    local commands = {
        { 'time' }, { 'get', META }, { 'set', META, '' }, { 'setrange', META, '0', '' }, { 'getrange', META, '0', '0' },
        { 'type', META }, { 'unlink', META }, { 'hget', CLIENTS, '' }, { 'hset', CLIENTS, '', '' }, { 'hsetnx', CLIENTS, '', '' },
        { 'hdel', CLIENTS, '' }, { 'hkeys', CLIENTS }, { 'hexists', CLIENTS, '' }, { 'rpush', READY, '' },
        { 'lpush', READY, '' }, { 'lpop', READY, '1' }, { 'lindex', READY, '0' }, { 'llen', READY },
        { 'zadd', TIMERS, '0', '' }, { 'zrem', TIMERS, '' }, { 'zcard', TIMERS }, { 'zpopmin', TIMERS },
        { 'zrange', TIMERS, '0', '0' }, { 'zrangebyscore', TIMERS, '0', '0' }, { 'zrevrangebyscore', TIMERS, '0', '0' },
        { 'zrangebylex', TIMERS, '-', '+' }, { 'zrevrangebylex', TIMERS, '+', '-' }, { 'spublish', CHANNEL .. CALLER, '' },
        { 'pubsub', 'shardnumsub', CHANNEL .. CALLER }, { 'info', 'server' },
    }
    local missing = {}
    for _, command in ipairs(commands) do
        if not redis.acl_check_cmd(unpack(command)) then
            missing[#missing + 1] = command[1] == 'pubsub' and 'pubsub|shardnumsub' or command[1]
        end
    end
    return missing[1] and table.concat(missing, ' ')
end

-- The part of the queue whose key somebody else has made, if there is one.
local function foreign_part()
    local types = { 'string', 'hash', 'list', 'zset', 'hash', 'zset', 'zset', 'zset', 'zset', 'zset', 'hash', 'zset', 'zset',
        'hash' }
    local has_meta = call('TYPE', META).ok ~= 'none'
    for i, key in ipairs(KEYS) do
        local kind = call('TYPE', key).ok
        if kind ~= 'none' and (kind ~= types[i] or not has_meta) then return key end
    end
    if has_meta and call('GETRANGE', META, 0, #MAGIC - 1) ~= MAGIC then return META end
    return nil
end

local ROLE_NUMBERS = { producer = PRODUCER, consumer = CONSUMER, visitor = VISITOR }

-- A process birth as three numbers. Without a birth the process counts as old.
local function unpack_birth(birth)
    if type(birth) ~= 'table' then return 0, 0, 0 end
    return tonumber(birth.tick) or 0, tonumber(birth.pid) or 0, tonumber(birth.ns) or 0
end

-- Whether a process was there at the last end. If a client of that machine has been told of the end, the order of process starts
-- decides (`is_at_or_before` in src/clock); else the age: a tick is 10 ms, and 50 ms count in favour of yes.
local function was_there(boot_id, birth, age)
    local told = type(boot_id) == 'string' and call('HGET', ENDS_TOLD, boot_id)
    if not told then
        age = tonumber(age)
        return not age or now - age - 60 <= queue.ended_at
    end
    local end_tick, end_pid, end_ns = unpack_struct('<ddd', told)
    local tick, pid, ns = unpack_birth(birth)
    if tick ~= end_tick then return tick < end_tick end
    if ns ~= end_ns or ns == 0 then return true end
    local later_by = pid - end_pid
    if math.abs(later_by) > 16384 then return later_by > 0 end
    return later_by <= 0
end

-- Whether the round that this client comes for has ended.
local function is_from_before_end(c, hello)
    if queue.ended_at == 0 or c.role == PRODUCER then return false end
    local was_client_there = was_there(hello.boot_id, hello.birth, hello.birth_age_ms)
    if c.role == CONSUMER then return was_client_there and c.follow == 0 end
    if queue.has_begun == 1 then return false end
    if was_client_there then return true end
    local ancestors = type(hello.ancestors) == 'table' and hello.ancestors or {}
    local ages = type(hello.ancestor_ages_ms) == 'table' and hello.ancestor_ages_ms or {}
    for i, ancestor in ipairs(ancestors) do
        if was_there(hello.boot_id, ancestor, ages[i]) then return true end
    end
    return false
end

-- The capacity that the client asks for, against that of the queue. Returns the text of a refusal.
local function refuse_capacity(asked, takes_sentinel)
    if not asked then return nil end
    -- No item is left that the old capacity applied to.
    if takes_sentinel and is_all_done() then queue.capacity = CAPACITY_OPEN end
    if queue.capacity == CAPACITY_OPEN then queue.capacity = asked end
    if queue.capacity == asked then return nil end
    local function shown(capacity) return capacity == UNBOUNDED and '0 (unbounded)' or decimal(capacity) end
    return 'the queue has capacity ' .. shown(queue.capacity) .. ', not ' .. shown(asked)
        .. ': leave --capacity out, or give the same one; `qdemo rm` begins anew'
end

-- Adds a client. Returns the text of a refusal.
local function connect(hello)
    local role = ROLE_NUMBERS[hello.role]
    local takes_sentinel = role == PRODUCER and queue.sentinel == LAST_PRODUCER_LEFT
    local refusal = refuse_capacity(tonumber(hello.capacity), takes_sentinel)
    if refusal then return refusal end
    if takes_sentinel then queue.sentinel = NO_SENTINEL end
    if role == PRODUCER then begin_round() end
    local c = unpack_client(nil)
    local function as_flag(value) return value == true and 1 or 0 end
    c.role, c.keep_open, c.follow, c.sync = role, as_flag(hello.keep_open), as_flag(hello.follow), as_flag(hello.sync)
    c.pid, c.order, c.since = tonumber(hello.pid) or 0, next_order(), now
    c.lease = tonumber(hello.lease) and max(ceil(hello.lease / 1e6), 1) or 0
    c.max_failures = tonumber(hello.max_delivery_failures) or 5
    c.max_item_bytes = min(tonumber(hello.max_item_bytes) or DEFAULT_MAX_ITEM_BYTES, MAX_ITEM_BYTES)
    c.dead_after = max(tonumber(hello.dead_after_ms) or 30000, ABSENCE)
    c.round, c.ends = queue.round, queue.ends
    if c.sync == 1 then queue.sync, queue.syncing = 1, queue.syncing + 1 end
    c.is_late = as_flag(is_from_before_end(c, hello))
    local tombstone = client(CALLER)
    if tombstone then c.accepted = tombstone.accepted end
    queue.clients = queue.clients + 1
    if role == PRODUCER then
        queue.producers = queue.producers + 1
    elseif role == CONSUMER then
        queue.consumers = queue.consumers + 1
    end
    known[CALLER] = c
    return nil
end

-- Lets a known client continue. It asks again for what it waited for.
local function resume(c, received)
    clients().clear_waits(CALLER, c)
    if c.deliveries > received then
        -- The client never read the last batch. The batch keeps its attempt if no later item was delivered.
        local packed = call('HGET', IN_FLIGHT, decimal(c.last_first_id))
        local batch = packed and batches.unpack_in_flight(c.last_first_id, packed)
        if batch and batch.client == CALLER then
            batches.remove_in_flight(c, batch, true)
            if queue.last_delivered >= batch.first_id + batch.count then
                batches.requeue(batch)
            else
                batches.requeue_in_same_attempt(batch)
            end
        end
    end
    c.deliveries = received
end

-- What the client may not know, as JSON.
local function resumed_state(c)
    local accepted, in_flight = {}, {}
    for at = 1, #c.accepted, 16 do
        accepted[#accepted + 1] = format('[%.0f,%.0f]', unpack_struct('<dd', c.accepted, at))
    end
    for i, member in ipairs(clients().held_by(CALLER)) do
        local id = tonumber(sub(member, 18))
        local packed = call('HGET', IN_FLIGHT, decimal(id))
        local batch = packed and batches.unpack_in_flight(id, packed)
        if batch then in_flight[#in_flight + 1] = format('[%.0f,%.0f,%.0f]', id, batch.count, batch.attempt) end
    end
    return '{"accepted":[' .. table.concat(accepted, ',') .. '],"in_flight":[' .. table.concat(in_flight, ',') .. ']}'
end

-- Returns whether the client is connected now.
local function handle_hello(hello)
    if hello.version ~= 2 then
        reply_error(CALLER, 'version', 'the keeper speaks protocol version 2, the client version ' .. decimal(hello.version))
        return false
    end
    local c = client(CALLER)
    local received = tonumber(hello.batches_received)
    local is_known = c and true
    -- It counted as dead: what it had in flight is no longer its own.
    local is_forgotten = received and not (c and c.is_dead == 0)
    if c and c.is_dead == 0 then
        resume(c, received or 0)
    else
        local refusal = connect(hello)
        if refusal then
            reply_error(CALLER, 'capacity', refusal)
            return false
        end
        c = client(CALLER)
        -- The batches that a forgotten client has received are no longer its own.
        c.deliveries = received or 0
    end
    c.conversation = CONVERSATION
    clients().set_timer(CALLER, now + ABSENCE)
    local awaits = has_ended() and not sees_end_next(c)
    reply(CALLER, 'welcome {"version":2,"paced":false,"window":' .. decimal(put_window())
        .. (client(CALLER).lease > 0 and ',"renew":true' or '') .. (awaits and ',"awaits_next_round":true' or '') .. (is_known and ',"resumed":' .. resumed_state(c) or '')
        .. ',"queue_id":"' .. queue.id .. '","sync":' .. (queue.sync == 1 and 'true' or 'false')
        .. (is_forgotten and ',"forgotten":true' or '') .. '}\n')
    return true
end

-- The settings of a client, or nil.
local function parse_hello(json)
    local is_json, hello = pcall(cjson.decode, json)
    if not is_json or type(hello) ~= 'table' or type(hello.version) ~= 'number' then return nil end
    return ROLE_NUMBERS[hello.role] and hello or nil
end

return {
    missing_rights = missing_rights, foreign_part = foreign_part, handle_hello = handle_hello,
    parse_hello = parse_hello,
}
