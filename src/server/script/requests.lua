-- The requests that clients make often. A function takes what follows the verb, and returns a text if that is malformed.

local MAX_BLOCKED_BYTES, MAX_PUT_BYTES = 16 * 1048576, 65536

-- Disconnects a client that has broken the protocol or a limit.
local function expel(code, text)
    reply_error(CALLER, code, text)
    clients().disconnect(CALLER, client(CALLER), false)
    is_over = true
end

-- Whether the bytes are lines that are not empty. Only the number of several lines is taken on trust: to count them costs more
-- than all the rest of a put.
local function are_well_formed(count, lines)
    local newline = find(lines, '\n', 1, true)
    if not newline or newline == 1 or sub(lines, -1) ~= '\n' then return false end
    if count == 1 then return newline == #lines end
    return 2 * count <= #lines and newline < #lines and not find(lines, '\n\n', newline, true)
end

-- The items of this put that were not accepted before: a client that resumes may repeat a put. Answers a put that has none.
local function drop_accepted(c, put)
    if #c.accepted == 0 then return put end
    local last_seq, last_id = unpack_struct('<dd', c.accepted, #c.accepted - 15)
    local repeated = min(last_seq - (put.seq - put.count), put.count)
    if repeated <= 0 then return put end
    if repeated == put.count then
        reply_ok(CALLER, last_seq, last_id)
        return nil
    end
    put.lines = sub(put.lines, batches.end_of_lines(put.lines, repeated) + 1)
    put.count = put.count - repeated
    return put
end

local function enqueue_put(put)
    local c = client(CALLER)
    put = drop_accepted(c, put)
    if not put then return end
    local seq = put.seq
    if c.blocked_items > MAX_BLOCKED_ITEMS or c.blocked_bytes > MAX_BLOCKED_BYTES then
        local text = format('too many items wait for room: the items up to %.0f are not taken', seq)
        return reply_error(CALLER, 'too-far', text)
    end
    if queue.sentinel == CLOSED or (queue.sentinel == LAST_PRODUCER_LEFT and c.role ~= VISITOR) then
        return reply(CALLER, format('closed %.0f\n', seq))
    end
    new_puts[#new_puts + 1] = put
    c.blocked_items, c.blocked_bytes, c.blocked_seq = c.blocked_items + put.count, c.blocked_bytes + #put.lines, seq
    -- The first put fixes the capacity.
    if queue.capacity == CAPACITY_OPEN then queue.capacity = UNBOUNDED end
    begin_round()
end

-- A put whose body begins at `at`. Returns where the next request begins.
local function handle_put(rest, at)
    local seq, count, bytes = match(rest, '^(%d+) (%d+) (%d+)$')
    seq, count, bytes = number(seq or ''), number(count or ''), number(bytes or '')
    -- A double has all integers up to 2^53.
    if not (seq and count and bytes) or count < 1 or count > seq or seq > 9007199254740992 then
        return expel('malformed', "put takes the client's number of its last item, a count and a number of bytes")
    end
    local limit = count == 1 and client(CALLER).max_item_bytes + 1 or MAX_PUT_BYTES
    if bytes > limit then
        return expel('too-large', count == 1 and format('an item has at most %.0f bytes as JSON', limit - 1)
            or format('a put of several items has at most %.0f bytes', limit))
    end
    local body_end = at + bytes
    local lines = sub(REQUESTS, at, body_end - 1)
    if #lines == bytes and are_well_formed(count, lines) then
        enqueue_put({ seq = seq, count = count, lines = lines })
    else
        reply_error(CALLER, 'malformed', 'the items of a put are lines that are not empty, as many as the put says')
    end
    return body_end
end

local function handle_get(rest)
    local most = number(rest)
    if not most or most == 0 then return 'get takes the largest count of items' end
    local c = client(CALLER)
    if c.pending_get > 0 then return reply_error(CALLER, 'get-twice', 'a get is waiting already: one at a time') end
    c.pending_get, c.get_round = most, queue.round
    has_new_get = true
end

local function refuse_not_in_flight(first_id, count, attempt)
    -- The numbers may be larger than a double can tell apart.
    local function as_sent(text) return match(text, '^0*(%d.*)$') end
    reply(CALLER, 'not-in-flight ' .. as_sent(first_id) .. ' ' .. as_sent(count) .. ' ' .. as_sent(attempt) .. '\n')
end

-- The items of a `done`, `requeue` or `renew`: first id, count, attempt or nil, and the three as they were sent. Or nil and the
-- malformed text.
local function parse_reference(rest)
    local first_id, count, attempt = match(rest, '^(%d+) (%d+) ?(%d*)$')
    local first, n, named = number(first_id or ''), number(count or ''), attempt ~= '' and short_number(attempt or '') or nil
    if not first or not n or n == 0 or (attempt ~= '' and not named) then
        return nil, 'this request takes the first item id, a count and perhaps an attempt'
    end
    return { first = first, count = n, attempt = named, first_as_sent = first_id, count_as_sent = count,
        attempt_as_sent = named and attempt or '0' }
end

-- Takes the items of a `done` or `requeue` out of those in flight. Returns the batch, or nil and perhaps the malformed text.
local function take_reported(rest, needs_lines)
    local named, malformed = parse_reference(rest)
    if not named then return nil, malformed end
    local batch = batches.take_in_flight(CALLER, client(CALLER), named.first, named.count, named.attempt, needs_lines)
    if not batch then refuse_not_in_flight(named.first_as_sent, named.count_as_sent, named.attempt_as_sent) end
    return batch
end

local function handle_done(rest)
    local batch, malformed = take_reported(rest, false)
    if not batch then return malformed end
    local c = client(CALLER)
    queue.in_flight, queue.done = queue.in_flight - batch.count, queue.done + batch.count
    c.items = c.items + batch.count
end

local ID_WANTED = 'this request takes an item id'

-- A request that takes nothing.
local function plain(handle)
    return function(rest)
        if rest ~= '' then return 'no such request' end
        return handle()
    end
end

-- Whether an optional word is there; nil if there is another one.
local function flag(rest, word)
    if rest == '' then return false end
    return rest == word or nil
end

return {
    frequent = { get = handle_get, done = handle_done }, expel = expel, handle_put = handle_put,
    refuse_not_in_flight = refuse_not_in_flight, parse_reference = parse_reference, take_reported = take_reported, plain = plain, flag = flag,
    ID_WANTED = ID_WANTED,
}
