-- The state of the queue and of its clients, and the replies of this call.

-- The time of this call. Set by main.lua, as `queue` is.
local now

-- The state of the queue ------------------------------------------------------------------------------------------

-- After MAGIC and a byte with the layout.
local QUEUE_FORMAT = '<BBBddddddddddddddddddddddddc28c40'

-- `capacity` is CAPACITY_OPEN until a client has chosen it. `round` and `ends` count the rounds that began and those that ended;
-- `ended_at` is 0 before the first end. `first_ready` is the id of the first item of READY, which has all ids from there to
-- `last_id`. `requeued`, `in_flight` are numbers of items; the other numbers count what a key has, so that no call asks an
-- empty key. `largest_piece` is an upper bound of the bytes of a piece in READY. `last_heard`: the last call of a client
-- that stays.
-- `quiet_until`: silence and absence count from this moment. `nobody_dead_before` follows a restart. `next_due` is at most the
-- time of the first timer or lease. `id` and `run_id` name the queue, and the run of the server.
local function unpack_queue(packed)
    local q = { sentinel = 0, sync = 0, has_begun = 0, capacity = CAPACITY_OPEN, round = 0, ends = 0, ended_at = 0, last_id = 0,
        done = 0, last_delivered = 0, first_ready = 1, requeued = 0, in_flight = 0, largest_piece = 0, producers = 0,
        consumers = 0, clients = 0, syncing = 0, getters = 0, following_getters = 0, blocked = 0, joiners = 0,
        order = 0, last_heard = 0, quiet_until = 0, nobody_dead_before = 0, next_due = 0, id = '', run_id = '' }
    if packed then
        q.sentinel, q.sync, q.has_begun, q.capacity, q.round, q.ends, q.ended_at, q.last_id, q.done, q.last_delivered,
            q.first_ready, q.requeued, q.in_flight, q.largest_piece, q.producers, q.consumers, q.clients,
            q.syncing, q.getters, q.following_getters, q.blocked, q.joiners, q.order, q.last_heard, q.quiet_until,
            q.nobody_dead_before, q.next_due, q.id, q.run_id = unpack_struct(QUEUE_FORMAT, packed, #MAGIC + 2)
    end
    return q
end

local function pack_queue(q)
    return MAGIC .. string.char(LAYOUT) .. pack(QUEUE_FORMAT, q.sentinel, q.sync, q.has_begun, q.capacity, q.round, q.ends,
        q.ended_at, q.last_id, q.done, q.last_delivered, q.first_ready, q.requeued, q.in_flight, q.largest_piece, q.producers,
        q.consumers, q.clients, q.syncing, q.getters, q.following_getters, q.blocked, q.joiners, q.order,
        q.last_heard, q.quiet_until, q.nobody_dead_before, q.next_due, q.id, q.run_id)
end

local queue

local function ready_count() return queue.last_id - queue.first_ready + 1 + queue.requeued end

local function is_all_done() return queue.in_flight == 0 and ready_count() == 0 end

local function free_capacity()
    if queue.capacity <= 0 then return math.huge end
    return max(queue.capacity - ready_count(), 0)
end

-- The number of items that a client may send before their `ok`; one is always allowed.
local function put_window()
    if queue.capacity <= 0 then return MAX_BLOCKED_ITEMS end
    return min(floor(free_capacity() / max(queue.producers, 1)), MAX_BLOCKED_ITEMS)
end

local function has_ended() return queue.ended_at > 0 and queue.has_begun == 0 end

-- Begins a round, if the last one has ended. A visitor without a pending get belongs to the new round (`sees_end_next`).
local function begin_round()
    if queue.has_begun == 0 then
        queue.has_begun, queue.done = 1, 0
        queue.round = queue.round + 1
    end
end

-- A number for the order of arrivals.
local function next_order()
    queue.order = queue.order + 1
    return queue.order
end

-- Clients ---------------------------------------------------------------------------------------------------------

local CLIENT_FORMAT = '<BBBBBBBdddddddddddddddddddI4I4'

-- `since`: when the client connected. `is_late`: the round that the client came for had ended when it came. `round`, `ends`: those of the queue at that time.
-- `order`: its place among all clients. `lease` is 0 for none. `items`: put or done. `pending_get` is the MAX of a get that
-- waits, or 0, and `get_round` the round when it was asked. The three `blocked_` numbers are of the blocked puts. `accepted` is a
-- string of ranges (two doubles each: number and id of the last item), `blocked` a string of the orders of the blocked puts.
local function unpack_client(packed)
    local c = { role = 0, keep_open = 0, follow = 0, sync = 0, is_late = 0, is_joining = 0, is_dead = 0, pid = 0, order = 0,
        lease = 0, max_failures = 0, max_item_bytes = 0, dead_after = 0, since = 0, heard = 0, round = 0, ends = 0, items = 0,
        deliveries = 0, last_first_id = 0, pending_get = 0, get_round = 0, blocked_items = 0, blocked_bytes = 0,
        blocked_seq = 0, conversation = 0, accepted = '', blocked = '' }
    if packed then
        local accepted, blocked, at
        c.role, c.keep_open, c.follow, c.sync, c.is_late, c.is_joining, c.is_dead, c.pid, c.order, c.lease, c.max_failures,
            c.max_item_bytes, c.dead_after, c.since, c.heard, c.round, c.ends, c.items, c.deliveries, c.last_first_id, c.pending_get,
            c.get_round, c.blocked_items, c.blocked_bytes, c.blocked_seq, c.conversation, accepted, blocked, at =
            unpack_struct(CLIENT_FORMAT, packed)
        c.accepted = sub(packed, at, at + accepted - 1)
        c.blocked = sub(packed, at + accepted, at + accepted + blocked - 1)
    end
    return c
end

local function pack_client(c)
    return pack(CLIENT_FORMAT, c.role, c.keep_open, c.follow, c.sync, c.is_late, c.is_joining, c.is_dead, c.pid, c.order,
        c.lease, c.max_failures, c.max_item_bytes, c.dead_after, c.since, c.heard, c.round, c.ends, c.items, c.deliveries,
        c.last_first_id, c.pending_get, c.get_round, c.blocked_items, c.blocked_bytes, c.blocked_seq, c.conversation, #c.accepted, #c.blocked)
        .. c.accepted .. c.blocked
end

-- The clients that this call has read; false for an unknown one.
local known = {}
-- The keys of clients to be written back.
local changed = {}

local function client(key)
    local c = known[key]
    if c == nil then
        local packed = call('HGET', CLIENTS, key)
        c = packed and unpack_client(packed) or false
        known[key] = c
    end
    return c
end

-- What the caller has asked for in this call, and the queue has not granted yet. The rest is stored at the end of the call.
local new_puts, first_new_put = {}, 1
local has_new_get, has_new_join = false, false

-- Whether nothing more is to be read of this call: the caller has left, or the queue was removed.
local is_over, is_removed = false, false

-- Whether the client's next get is answered with the end. That holds for a consumer from the end that it was connected at, or
-- came too late for; for a visitor only until a new round begins, or for a get that is older than the new round.
local function sees_end_next(c)
    local is_from_before = c.follow == 0 and c.role ~= PRODUCER and queue.ends > c.ends
    if c.role ~= VISITOR then return is_from_before or c.is_late == 1 end
    local round = c.pending_get > 0 and c.get_round or queue.round
    if queue.has_begun == 1 and round == queue.round then return false end
    return is_from_before or (c.is_late == 1 and round == c.round)
end

-- Replies ---------------------------------------------------------------------------------------------------------

-- The replies to each client, in order. `accepts` and `tells_end` say what is among them.
local mail = {}

local function reply(key, text)
    local replies = mail[key]
    if replies then
        replies[#replies + 1] = text
    else
        mail[key] = { text }
    end
end

local function reply_ok(key, seq, id)
    reply(key, format('ok %.0f %.0f %.0f\n', seq, id, put_window()))
    mail[key].accepts = true
end

local function reply_error(key, code, text) reply(key, 'error ' .. code .. ' ' .. text .. '\n') end

local function reply_batch(key, batch)
    reply(key, format('batch %.0f %.0f %.0f %.0f\n', batch.first_id, batch.count, batch.attempt, #batch.lines))
    reply(key, batch.lines)
end

-- Whether the client is subscribed to its channel. The caller is, since it listens and calls through one connection.
local function is_present(key)
    return key == CALLER or call('PUBSUB', 'SHARDNUMSUB', CHANNEL .. key)[2] > 0
end
