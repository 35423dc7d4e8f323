-- The steps of the queue: accept blocked puts, deliver, tell the end, answer joins. Only steps grant what was asked for.

-- The server remembers that many ranges of accepted items of a client.
local MAX_ACCEPTED_RANGES = 64
-- A stored put that is blocked: number of the last item, count, lines.
local BLOCKED_FORMAT, BLOCKED_HEAD = '<dI4', 12

local function blocked_member(key, order) return key .. ':' .. decimal(order) end

-- The queue accepts `count` items of the client; `seq` is the client's number of the last one.
local function accept(key, c, seq, count, lines)
    call('RPUSH', READY, batches.pack_piece(queue.last_id + 1, count, now, lines))
    queue.largest_piece = max(queue.largest_piece, #lines)
    local id = queue.last_id + count
    queue.last_id = id
    c.items = c.items + count
    local accepted = c.accepted
    if #accepted > 0 then
        local last_seq, last_id = unpack_struct('<dd', accepted, #accepted - 15)
        if last_seq + count == seq and last_id + count == id then
            accepted = sub(accepted, 1, -17)
        elseif #accepted == 16 * MAX_ACCEPTED_RANGES then
            accepted = sub(accepted, 17)
        end
    end
    c.accepted = accepted .. pack('<dd', seq, id)
    changed[key] = true
    reply_ok(key, seq, id)
end

-- Accepts as many items of a blocked put as there is room for. Returns whether that were all of them.
local function accept_blocked(key, c, put)
    local room = free_capacity()
    local count, lines = put.count, put.lines
    if room < count then
        local at = batches.end_of_lines(lines, room)
        count, lines, put.lines = room, sub(lines, 1, at), sub(lines, at + 1)
    end
    put.count = put.count - count
    c.blocked_items, c.blocked_bytes = c.blocked_items - count, c.blocked_bytes - #lines
    accept(key, c, put.seq - put.count, count, lines)
    return put.count == 0
end

local function read_blocked(member)
    local packed = call('HGET', BLOCKED_ITEMS, member)
    if not packed then return nil end
    local seq, count = unpack_struct(BLOCKED_FORMAT, packed)
    return { seq = seq, count = count, lines = sub(packed, BLOCKED_HEAD + 1) }
end

local function store_blocked(member, put)
    call('HSET', BLOCKED_ITEMS, member, pack(BLOCKED_FORMAT, put.seq, put.count) .. put.lines)
end

-- Forgets the first stored put of the client, which `member` is.
local function forget_first_blocked(c, member)
    call('ZREM', BLOCKED, member)
    call('HDEL', BLOCKED_ITEMS, member)
    queue.blocked = queue.blocked - 1
    c.blocked = sub(c.blocked, 9)
end

local function accept_oldest_put()
    if queue.blocked == 0 then
        if accept_blocked(CALLER, client(CALLER), new_puts[first_new_put]) then first_new_put = first_new_put + 1 end
        return
    end
    local member = call('ZRANGE', BLOCKED, 0, 0)[1]
    local key = member and sub(member, 1, 16)
    local c = key and client(key)
    local put = c and read_blocked(member)
    if not put then
        -- The server has lost a key (an eviction).
        queue.blocked = 0
        call('UNLINK', BLOCKED, BLOCKED_ITEMS)
    elseif accept_blocked(key, c, put) then
        forget_first_blocked(c, member)
    else
        store_blocked(member, put)
    end
end

local function getter_count() return queue.getters + (has_new_get and 1 or 0) end

-- Lets the client wait as the youngest getter.
local function store_getter(key, c)
    call('ZADD', GETTERS, decimal(next_order()), key)
    queue.getters = queue.getters + 1
    queue.following_getters = queue.following_getters + c.follow
end

-- A stored getter waits no longer.
local function forget_getter(c)
    queue.getters = queue.getters - 1
    queue.following_getters = queue.following_getters - c.follow
end

-- Gives ready items to a client with a pending get.
local function deliver(key, c, takers)
    -- A delivery is at most a fair share: no consumer holds items that another consumer could process.
    local share = ceil(ready_count() / max(queue.consumers, takers, 1))
    local batch = batches.take_ready(min(c.pending_get, share))
    changed[key] = true
    -- The server may have lost the items (an eviction).
    if not batch then return store_getter(key, c) end
    c.pending_get = 0
    queue.in_flight = queue.in_flight + batch.count
    queue.last_delivered = max(queue.last_delivered, batch.first_id + batch.count - 1)
    batches.add_in_flight(key, c, batch, now, 0)
    c.deliveries, c.last_first_id = c.deliveries + 1, batch.first_id
    reply_batch(key, batch)
end

-- Delivers ready items to the oldest getter that does not see the end. Returns false if there is none.
local function deliver_to_oldest()
    local takers = getter_count()
    while queue.getters > 0 do
        local key = call('ZPOPMIN', GETTERS)[1]
        local c = key and client(key)
        if not c then
            -- The server has lost a key (an eviction).
            queue.getters, queue.following_getters = 0, 0
            return false
        end
        forget_getter(c)
        if is_present(key) then
            deliver(key, c, takers)
            return true
        end
        -- The client is away. It asks again if it resumes.
        c.pending_get = 0
        changed[key] = true
        takers = takers - 1
    end
    local c = has_new_get and client(CALLER)
    if not c or sees_end_next(c) then return false end
    has_new_get = false
    deliver(CALLER, c, takers)
    return true
end

local function deliver_end(key, c)
    c.pending_get = 0
    changed[key] = true
    reply(key, 'ended\n')
    mail[key].tells_end = true
end

-- Whether the sentinel is the next thing in the queue, and a getter that is there takes it.
local function is_end_due()
    if queue.sentinel == NO_SENTINEL or queue.blocked > 0 or new_puts[first_new_put] or not is_all_done() then return false end
    local c = has_new_get and client(CALLER)
    if c and c.follow == 0 and not sees_end_next(c) then return true end
    if queue.getters == queue.following_getters then return false end
    for _, key in ipairs(call('ZRANGE', GETTERS, 0, -1)) do
        local getter = client(key)
        if getter and getter.follow == 0 and is_present(key) then return true end
    end
    return false
end

-- Takes the sentinel. The end reaches every connected consumer (`sees_end_next`), and the waiting ones now.
local function end_round()
    queue.sentinel, queue.capacity, queue.has_begun = NO_SENTINEL, CAPACITY_OPEN, 0
    -- A connected client that asked for `sync` relies on `sync` in the next round too.
    queue.sync = queue.syncing > 0 and 1 or 0
    queue.ends, queue.ended_at = queue.ends + 1, now
    call('UNLINK', ENDS_TOLD)
    if queue.getters == queue.following_getters then return end
    for _, key in ipairs(call('ZRANGE', GETTERS, 0, -1)) do
        local c = client(key)
        if c and sees_end_next(c) then
            call('ZREM', GETTERS, key)
            forget_getter(c)
            deliver_end(key, c)
        end
    end
end

local function answer_joins()
    local answer = format('joined %.0f\n', call('ZCARD', FAILED))
    if queue.joiners > 0 then
        for _, key in ipairs(call('ZRANGE', JOINERS, 0, -1)) do
            local c = client(key)
            if c then
                c.is_joining = 0
                changed[key] = true
                reply(key, answer)
            end
        end
        call('UNLINK', JOINERS)
        queue.joiners = 0
    end
    if has_new_join then
        client(CALLER).is_joining, has_new_join = 0, false
        reply(CALLER, answer)
    end
end

-- Stores what the caller asked for in this call and still waits for.
local function store_waits()
    local c = client(CALLER)
    while new_puts[first_new_put] do
        local order = next_order()
        local member = blocked_member(CALLER, order)
        call('ZADD', BLOCKED, decimal(order), member)
        store_blocked(member, new_puts[first_new_put])
        c.blocked = c.blocked .. pack('<d', order)
        queue.blocked = queue.blocked + 1
        first_new_put = first_new_put + 1
    end
    if has_new_get then
        store_getter(CALLER, c)
        has_new_get = false
    end
    if has_new_join then
        call('ZADD', JOINERS, decimal(next_order()), CALLER)
        queue.joiners = queue.joiners + 1
        has_new_join = false
    end
end

-- Takes all steps that are possible now.
local function take_steps()
    while true do
        if is_end_due() then end_round() end
        if (queue.blocked > 0 or new_puts[first_new_put]) and free_capacity() > 0 then
            accept_oldest_put()
        elseif getter_count() == 0 or ready_count() == 0 or not deliver_to_oldest() then
            if has_new_get and sees_end_next(client(CALLER)) then
                has_new_get = false
                deliver_end(CALLER, client(CALLER))
            elseif (queue.joiners > 0 or has_new_join) and is_all_done() then
                answer_joins()
            else
                return
            end
        end
    end
end

return {
    blocked_member = blocked_member, read_blocked = read_blocked, forget_first_blocked = forget_first_blocked,
    forget_getter = forget_getter, store_waits = store_waits, take_steps = take_steps,
}
