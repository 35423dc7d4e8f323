-- Batches of items: ready, in flight and failed.
--
-- A batch is a table: first_id, count, attempt, delivery_failures, accepted_at, lines. One in flight has a client,
-- delivered_at and is_client_attempt too, and is stored in two fields of IN_FLIGHT, so that `done` need not read its lines.

-- The limits of a delivery: its bytes, and the milliseconds between its oldest and its youngest item.
local MAX_DELIVERY_BYTES, MAX_AGE_SPREAD = 524288, 10
local PIECE_FORMAT, PIECE_HEAD = '<I6I3I6', 15
local REQUEUED_FORMAT, REQUEUED_HEAD = '<dI4I4I4d', 28
-- Behind a record in flight: when its lease ends, if that is not the lease of its delivery. Earlier scripts read over it.
local IN_FLIGHT_FORMAT, IN_FLIGHT_HEAD, RENEWED_FORMAT = '<c16I4I4I4ddB', 45, '<d'
local FAILED_FORMAT, FAILED_HEAD = '<dI4I4dI4', 28
-- A long batch is cut after about this many bytes when its first items are taken: else each get would copy all the rest.
local CUT_BYTES = 8192

-- Where the first `n` lines end.
local function end_of_lines(lines, n)
    local at = 0
    for _ = 1, n do
        at = find(lines, '\n', at + 1, true)
        if not at then return #lines end
    end
    return at
end

local function new_batch(first_id, count, attempt, delivery_failures, accepted_at, lines)
    return { first_id = first_id, count = count, attempt = attempt, delivery_failures = delivery_failures,
        accepted_at = accepted_at, lines = lines }
end

-- Cuts the batch behind its first `n` items, and returns the rest.
local function split_off(batch, n)
    local at = end_of_lines(batch.lines, n)
    local rest = new_batch(batch.first_id + n, batch.count - n, batch.attempt, batch.delivery_failures, batch.accepted_at,
        sub(batch.lines, at + 1))
    batch.count, batch.lines = n, sub(batch.lines, 1, at)
    return rest
end

-- Ready -----------------------------------------------------------------------------------------------------------

local function pack_piece(first_id, count, accepted_at, lines)
    return pack(PIECE_FORMAT, first_id, count, accepted_at) .. lines
end

local function unpack_piece(packed)
    local first_id, count, accepted_at = unpack_struct(PIECE_FORMAT, packed)
    return new_batch(first_id, count, 1, 0, accepted_at, sub(packed, PIECE_HEAD + 1))
end

local function unpack_requeued(packed)
    local first_id, count, attempt, delivery_failures, accepted_at = unpack_struct(REQUEUED_FORMAT, packed)
    return new_batch(first_id, count, attempt, delivery_failures, accepted_at, sub(packed, REQUEUED_HEAD + 1))
end

-- Makes a batch ready that was delivered before.
local function make_ready(batch)
    queue.requeued = queue.requeued + batch.count
    call('ZADD', REQUEUED, decimal(batch.first_id), pack(REQUEUED_FORMAT, batch.first_id, batch.count, batch.attempt,
        batch.delivery_failures, batch.accepted_at) .. batch.lines)
end

-- A delivery that is put together from batches that continue each other.
local function can_join(batch, next_batch)
    return batch.first_id + batch.count == next_batch.first_id and batch.attempt == next_batch.attempt
        and batch.delivery_failures == next_batch.delivery_failures
        and next_batch.accepted_at - batch.accepted_at < MAX_AGE_SPREAD
        and batch.bytes + #next_batch.lines <= MAX_DELIVERY_BYTES
end

local function join(batch, next_batch)
    if not batch then
        next_batch.parts, next_batch.bytes = { next_batch.lines }, #next_batch.lines
        return next_batch
    end
    batch.parts[#batch.parts + 1] = next_batch.lines
    batch.count, batch.bytes = batch.count + next_batch.count, batch.bytes + #next_batch.lines
    return batch
end

-- Cuts a long batch after about CUT_BYTES, so that the next get copies little. Returns the rest, or nil.
local function cut_long(batch)
    if #batch.lines <= 2 * CUT_BYTES then return nil end
    local at, count = 0, 0
    while at and at < CUT_BYTES do
        at = find(batch.lines, '\n', at + 1, true)
        count = count + 1
    end
    return at and count < batch.count and split_off(batch, count) or nil
end

-- Puts the rest of a piece back.
local function put_back(piece)
    local rest = cut_long(piece)
    if rest then call('LPUSH', READY, pack_piece(rest.first_id, rest.count, rest.accepted_at, rest.lines)) end
    call('LPUSH', READY, pack_piece(piece.first_id, piece.count, piece.accepted_at, piece.lines))
end

-- Puts the rest of a requeued batch back.
local function put_back_requeued(batch)
    local rest = cut_long(batch)
    if rest then make_ready(rest) end
    make_ready(batch)
end

local function take_requeued(n)
    local batch
    while queue.requeued > 0 and not (batch and batch.count >= n) do
        local packed = call('ZPOPMIN', REQUEUED)[1]
        if not packed then
            -- The server has lost the key (an eviction).
            queue.requeued = 0
            break
        end
        local next_batch = unpack_requeued(packed)
        queue.requeued = queue.requeued - next_batch.count
        if batch and not can_join(batch, next_batch) then
            make_ready(next_batch)
            return batch, true
        end
        local wanted = n - (batch and batch.count or 0)
        if next_batch.count > wanted then put_back_requeued(split_off(next_batch, wanted)) end
        batch = join(batch, next_batch)
    end
    return batch, queue.requeued > 0
end

-- Takes up to `n` items that fit in one delivery from the front, or nil.
local function take_ready(n)
    local batch, is_complete = take_requeued(n)
    local count = 1
    while not is_complete and queue.first_ready <= queue.last_id and not (batch and batch.count >= n) do
        local wanted = n - (batch and batch.count or 0)
        if batch then
            local fitting = floor((MAX_DELIVERY_BYTES - batch.bytes) / queue.largest_piece)
            count = max(min(2 * count, wanted, fitting), 1)
        end
        local pieces = call('LPOP', READY, count)
        if not pieces then
            -- The server has lost the key (an eviction).
            queue.first_ready = queue.last_id + 1
            break
        end
        for i = 1, #pieces do
            local piece = unpack_piece(pieces[i])
            is_complete = batch and not can_join(batch, piece)
            local rest = not is_complete and piece.count > wanted and split_off(piece, wanted) or nil
            if is_complete or piece.count == wanted then
                -- The pieces that are too many go back, the last one first.
                for j = #pieces, is_complete and i or i + 1, -1 do call('LPUSH', READY, pieces[j]) end
            end
            if is_complete then break end
            if rest then put_back(rest) end
            wanted = wanted - piece.count
            queue.first_ready = piece.first_id + piece.count
            batch = join(batch, piece)
            if wanted == 0 then break end
        end
    end
    if batch then
        if batch.parts[2] then batch.lines = table.concat(batch.parts) end
        if queue.first_ready > queue.last_id then queue.largest_piece = 0 end
    end
    return batch
end

-- In flight -------------------------------------------------------------------------------------------------------

-- The member of HELD and LEASES. The digits keep the order of the ids.
local function held_member(key, id) return key .. format(':%016.0f', id) end

-- The earliest time that the next calls must look at timers and leases.
local function note_due(time) queue.next_due = min(queue.next_due, time) end

local function pack_in_flight(key, batch, delivered_at, is_client_attempt, leased_until)
    return pack(IN_FLIGHT_FORMAT, key, batch.count, batch.attempt, batch.delivery_failures, batch.accepted_at, delivered_at,
        is_client_attempt) .. (leased_until and pack(RENEWED_FORMAT, leased_until) or '')
end

-- `leased_until`: when the lease ends; nil if that is the lease of the delivery.
local function add_in_flight(key, c, batch, delivered_at, is_client_attempt, leased_until)
    local id = decimal(batch.first_id)
    local member = held_member(key, batch.first_id)
    call('HSET', IN_FLIGHT, id, pack_in_flight(key, batch, delivered_at, is_client_attempt, leased_until), 'lines:' .. id,
        batch.lines)
    call('ZADD', HELD, 0, member)
    if c.lease > 0 then
        leased_until = leased_until or delivered_at + c.lease
        call('ZADD', LEASES, decimal(leased_until), member)
        note_due(leased_until)
    end
end

-- A batch in flight, without its lines.
local function unpack_in_flight(first_id, packed)
    local key, count, attempt, delivery_failures, accepted_at, delivered_at, is_client_attempt =
        unpack_struct(IN_FLIGHT_FORMAT, packed)
    local batch = new_batch(first_id, count, attempt, delivery_failures, accepted_at)
    batch.client, batch.delivered_at, batch.is_client_attempt = key, delivered_at, is_client_attempt
    if #packed > IN_FLIGHT_HEAD then batch.leased_until = unpack_struct(RENEWED_FORMAT, packed, IN_FLIGHT_HEAD + 1) end
    return batch
end

-- The batch in flight with the client that has all these items, without its lines. `attempt` may be nil.
local function find_in_flight(key, first_id, count, attempt)
    if first_id > queue.last_id then return nil end
    local packed = call('HGET', IN_FLIGHT, decimal(first_id))
    local key_of_batch = first_id
    if not packed then
        local member = call('ZREVRANGEBYLEX', HELD, '[' .. held_member(key, first_id), '[' .. key .. ':', 'LIMIT', 0, 1)[1]
        if not member then return nil end
        key_of_batch = tonumber(sub(member, 18))
        packed = call('HGET', IN_FLIGHT, decimal(key_of_batch))
        if not packed then return nil end
    end
    local batch = unpack_in_flight(key_of_batch, packed)
    if batch.client ~= key or first_id + count > batch.first_id + batch.count or count < 1 then return nil end
    if attempt and attempt ~= batch.attempt then return nil end
    return batch
end

-- Takes a batch out of those in flight. Only a caller that needs the lines has them.
local function remove_in_flight(c, batch, needs_lines)
    local id = decimal(batch.first_id)
    local member = held_member(batch.client, batch.first_id)
    if needs_lines then batch.lines = call('HGET', IN_FLIGHT, 'lines:' .. id) or '' end
    call('HDEL', IN_FLIGHT, id, 'lines:' .. id)
    call('ZREM', HELD, member)
    if c.lease > 0 then call('ZREM', LEASES, member) end
end

-- Removes items that a client has in flight within one batch.
local function take_in_flight(key, c, first_id, count, attempt, needs_lines)
    local batch = find_in_flight(key, first_id, count, attempt)
    if not batch then return nil end
    local is_part = count < batch.count
    remove_in_flight(c, batch, needs_lines or is_part)
    if is_part then
        local taken = batch
        if first_id > batch.first_id then
            taken = split_off(batch, first_id - batch.first_id)
            add_in_flight(key, c, batch, batch.delivered_at, batch.is_client_attempt, batch.leased_until)
        end
        if taken.count > count then
            add_in_flight(key, c, split_off(taken, count), batch.delivered_at, batch.is_client_attempt, batch.leased_until)
        end
        taken.delivered_at, taken.leased_until = batch.delivered_at, batch.leased_until
        taken.is_client_attempt = batch.is_client_attempt
        return taken
    end
    return batch
end

-- Begins the lease of items anew that a client has in flight within one batch. Returns whether it has them.
local function renew(key, c, first_id, count, attempt)
    local batch = find_in_flight(key, first_id, count, attempt)
    if not batch or c.lease == 0 then return batch ~= nil end
    local ends_at = now + c.lease
    if count == batch.count then
        call('HSET', IN_FLIGHT, decimal(first_id),
            pack_in_flight(key, batch, batch.delivered_at, batch.is_client_attempt, ends_at))
        call('ZADD', LEASES, decimal(ends_at), held_member(key, first_id))
        note_due(ends_at)
    else
        batch = take_in_flight(key, c, first_id, count, attempt, true)
        add_in_flight(key, c, batch, batch.delivered_at, batch.is_client_attempt, ends_at)
    end
    return true
end

local function requeue_in_same_attempt(batch)
    queue.in_flight = queue.in_flight - batch.count
    make_ready(batch)
end

local function requeue(batch)
    batch.attempt = min(batch.attempt + 1, MAX_ATTEMPT)
    requeue_in_same_attempt(batch)
end

-- Sets items aside that were in flight.
local function mark_failed(batch, reason)
    queue.in_flight = queue.in_flight - batch.count
    while batch do
        local rest = batch.count > 1 and split_off(batch, 1) or nil
        call('ZADD', FAILED, decimal(batch.first_id), pack(FAILED_FORMAT, batch.first_id, batch.attempt,
            batch.delivery_failures, batch.accepted_at, #reason) .. reason .. batch.lines)
        batch = rest
    end
end

local function unpack_failed(packed)
    local first_id, attempt, delivery_failures, accepted_at, reason_bytes = unpack_struct(FAILED_FORMAT, packed)
    local lines_at = FAILED_HEAD + reason_bytes + 1
    local batch = new_batch(first_id, 1, attempt, delivery_failures, accepted_at, sub(packed, lines_at))
    return batch, sub(packed, FAILED_HEAD + 1, lines_at - 1)
end

-- Counts a delivery failure, which the items may have caused, and requeues the items or fails them.
local function record_delivery_failure(c, batch)
    local failures = min(batch.delivery_failures + 1, MAX_ATTEMPT)
    batch.delivery_failures = failures
    if c.max_failures == 0 or failures < c.max_failures then return requeue(batch) end
    -- As in src/failure.rs. The time is in seconds.
    mark_failed(batch, format('{"delivery_failures":%.0f,"at":%.0f}', failures, floor(now / 1000)))
end

return {
    PIECE_FORMAT = PIECE_FORMAT, end_of_lines = end_of_lines, split_off = split_off, pack_piece = pack_piece, unpack_piece = unpack_piece,
    unpack_requeued = unpack_requeued, make_ready = make_ready, take_ready = take_ready, note_due = note_due,
    add_in_flight = add_in_flight, unpack_in_flight = unpack_in_flight, find_in_flight = find_in_flight,
    remove_in_flight = remove_in_flight, take_in_flight = take_in_flight, renew = renew,
    requeue_in_same_attempt = requeue_in_same_attempt, requeue = requeue, mark_failed = mark_failed,
    unpack_failed = unpack_failed, record_delivery_failure = record_delivery_failure,
}
