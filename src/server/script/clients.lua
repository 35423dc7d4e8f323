-- Clients that leave, die or stop waiting, and the leases of those that stay.

-- After a restart of the server nobody is dead before this time.
local RESTART_GRACE = 10000
local TOMBSTONE_LIFETIME = 3600000
-- A call handles at most this many due timers, and as many expired leases.
local MAX_TIMERS = 32

-- The client waits for nothing any more. Blocked puts are dropped.
local function clear_waits(key, c)
    local is_caller = key == CALLER
    while #c.blocked > 0 do steps.forget_first_blocked(c, steps.blocked_member(key, (unpack_struct('<d', c.blocked)))) end
    if is_caller then new_puts, first_new_put = {}, 1 end
    c.blocked_items, c.blocked_bytes = 0, 0
    if c.pending_get > 0 then
        if is_caller and has_new_get then
            has_new_get = false
        elseif call('ZREM', GETTERS, key) == 1 then
            steps.forget_getter(c)
        end
        c.pending_get = 0
    end
    if c.is_joining == 1 then
        if is_caller and has_new_join then
            has_new_join = false
        else
            queue.joiners = queue.joiners - call('ZREM', JOINERS, key)
        end
        c.is_joining = 0
    end
    changed[key] = true
end

-- The members of HELD of a client, in the order of the ids.
local function held_by(key) return call('ZRANGEBYLEX', HELD, '[' .. key .. ':', '(' .. key .. ';') end

-- Removes a client. Its items in flight are requeued; after a death that is a delivery failure.
local function remove_client(key, c, has_died)
    for _, member in ipairs(held_by(key)) do
        local id = tonumber(sub(member, 18))
        local packed = call('HGET', IN_FLIGHT, decimal(id))
        if packed then
            local batch = batches.unpack_in_flight(id, packed)
            batches.remove_in_flight(c, batch, true)
            if has_died then batches.record_delivery_failure(c, batch) else batches.requeue(batch) end
        end
    end
    clear_waits(key, c)
    queue.clients, queue.syncing = queue.clients - 1, queue.syncing - c.sync
    if c.role == CONSUMER then
        queue.consumers = queue.consumers - 1
    elseif c.role == PRODUCER then
        queue.producers = queue.producers - 1
        if queue.producers == 0 and c.keep_open == 0 and queue.sentinel == NO_SENTINEL then
            queue.sentinel = LAST_PRODUCER_LEFT
        end
    end
    if (has_died and #c.accepted > 0) or c.conversation > 1 then
        -- Requests of a lost connection may arrive yet: they are of an earlier conversation.
        -- If the client lives all the same, it must not put its items again.
        c.is_dead = 1
        call('ZADD', TIMERS, decimal(now + TOMBSTONE_LIFETIME), key)
        batches.note_due(now + TOMBSTONE_LIFETIME)
    else
        call('HDEL', CLIENTS, key)
        call('ZREM', TIMERS, key)
        known[key], changed[key] = false, nil
    end
end

local function disconnect(key, c, has_died)
    steps.take_steps()
    remove_client(key, c, has_died)
end

local function set_timer(key, time)
    call('ZADD', TIMERS, decimal(time), key)
    batches.note_due(time)
end

-- Looks at a client whose timer is due.
local function check_client(key, c)
    local heard = max(c.heard, queue.quiet_until)
    local absent_at, silent_at = heard + ABSENCE, heard + c.dead_after
    local is_dead = now >= silent_at or (now >= absent_at and not is_present(key))
    if is_dead and key ~= CALLER then
        if now >= queue.nobody_dead_before then return disconnect(key, c, true) end
        return set_timer(key, queue.nobody_dead_before)
    end
    if absent_at <= now then absent_at = now + ABSENCE end
    set_timer(key, min(absent_at, max(silent_at, now + 1)))
end

local function expire_leases()
    for _, member in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', decimal(now), 'LIMIT', 0, MAX_TIMERS)) do
        local key, id = sub(member, 1, 16), tonumber(sub(member, 18))
        local c, packed = client(key), call('HGET', IN_FLIGHT, decimal(id))
        if c and packed then
            local batch = batches.unpack_in_flight(id, packed)
            batches.remove_in_flight(c, batch, true)
            batches.record_delivery_failure(c, batch)
        else
            -- The server has lost a key (an eviction).
            call('ZREM', LEASES, member)
        end
    end
end

-- Handles what is due: leases, absent and silent clients, old tombstones. A bounded number of each; the rest is due in the
-- next call.
local function handle_due()
    expire_leases()
    for _, key in ipairs(call('ZRANGEBYSCORE', TIMERS, '-inf', decimal(now), 'LIMIT', 0, MAX_TIMERS)) do
        local c = client(key)
        if c and c.is_dead == 0 then
            check_client(key, c)
        else
            call('ZREM', TIMERS, key)
            if c then
                call('HDEL', CLIENTS, key)
                known[key], changed[key] = false, nil
            end
        end
    end
    queue.next_due = math.huge
    for _, due in ipairs({ TIMERS, LEASES }) do
        local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')
        if first[2] then batches.note_due(tonumber(first[2])) end
    end
end

-- Notices a time in which nobody was heard, since the server or the network was away; and a restart of the server.
local function note_silence(is_quiet)
    if is_quiet then queue.quiet_until = now end
    local info = redis.pcall('INFO', 'server')
    local run_id = type(info) == 'string' and match(info, 'run_id:(%w+)') or ''
    run_id = sub(run_id .. string.rep(' ', 40), 1, 40)
    if run_id ~= queue.run_id then
        if queue.clients > 0 then queue.nobody_dead_before = now + RESTART_GRACE end
        queue.run_id = run_id
    end
end

return {
    clear_waits = clear_waits, held_by = held_by, disconnect = disconnect, set_timer = set_timer,
    handle_due = handle_due, note_silence = note_silence,
}
