-- The requests that change the queue, but for those in requests.lua. A call that needs none of them does not make these
-- functions.

local changes = {}

function changes.requeue(rest)
    local batch, malformed = requests.take_reported(rest, true)
    if not batch then return malformed end
    batches.requeue(batch)
end

function changes.fail(rest)
    local id, attempt, tries, reason = match(rest, '^(%d+) (%d+) (%d+)(.*)$')
    local first, named, try_count = number(id or ''), short_number(attempt or ''), short_number(tries or '')
    if not (first and named and try_count) or not find(reason, '^ ') and reason ~= '' then
        return 'fail takes an item id, its attempt, tries and a reason'
    end
    local batch = batches.take_in_flight(CALLER, client(CALLER), first, 1, named, true)
    if not batch then return requests.refuse_not_in_flight(id, '1', attempt) end
    batch.attempt = min(batch.attempt + max(try_count - 1, 0), MAX_ATTEMPT)
    batches.mark_failed(batch, sub(reason, 2))
end

function changes.renew(rest)
    local named, malformed = requests.parse_reference(rest)
    if not named then return malformed end
    if not batches.renew(CALLER, client(CALLER), named.first, named.count, named.attempt) then
        requests.refuse_not_in_flight(named.first_as_sent, named.count_as_sent, named.attempt_as_sent)
    end
end

function changes.attempt(rest)
    local id, attempt = match(rest, '^(%d+) (%d+)$')
    local first, named = number(id or ''), short_number(attempt or '')
    if not (first and named) then return 'attempt takes an item id and the attempt that begins' end
    local c = client(CALLER)
    local batch = named > 0 and batches.take_in_flight(CALLER, c, first, 1, named - 1, true)
    local has_begun
    if batch then
        batch.attempt = named
        -- The lease goes on.
        batches.add_in_flight(CALLER, c, batch, batch.delivered_at, 1, batch.leased_until)
        has_begun = true
    else
        -- A client that lost the item by its lease may have received the item again in this very attempt, without having
        -- begun the attempt.
        local present = batches.find_in_flight(CALLER, first, 1, named)
        has_begun = present and present.is_client_attempt == 1
    end
    reply(CALLER, has_begun and 'count 1\n' or 'count 0\n')
end

changes.cancel = requests.plain(function()
    -- A request that can be granted at once is not cancelled.
    steps.take_steps()
    local c = client(CALLER)
    if c.blocked_items > 0 then reply(CALLER, format('full %.0f\n', c.blocked_seq)) end
    if c.pending_get > 0 then reply(CALLER, 'empty\n') end
    if c.is_joining == 1 then
        reply(CALLER, format('unfinished %.0f\n', ready_count() + queue.in_flight))
    end
    clients().clear_waits(CALLER, c)
    reply(CALLER, 'cancelled\n')
end)

changes.join = requests.plain(function()
    local c = client(CALLER)
    if c.is_joining == 0 then c.is_joining, has_new_join = 1, true end
end)

-- Drops the blocked puts and the ready items. Returns the number of the ready items.
local function clear()
    if queue.blocked > 0 then
        for _, member in ipairs(call('ZRANGE', BLOCKED, 0, -1)) do
            local key = sub(member, 1, 16)
            local c, put = client(key), steps.read_blocked(member)
            if c and put then
                reply(key, format('closed %.0f\n', put.seq))
                c.blocked, c.blocked_items, c.blocked_bytes = '', 0, 0
                changed[key] = true
            end
        end
    end
    while new_puts[first_new_put] do
        local c = client(CALLER)
        reply(CALLER, format('closed %.0f\n', new_puts[first_new_put].seq))
        c.blocked_items, c.blocked_bytes = 0, 0
        first_new_put = first_new_put + 1
    end
    local items = ready_count()
    call('UNLINK', BLOCKED, BLOCKED_ITEMS, READY, REQUEUED)
    queue.blocked, queue.requeued, queue.first_ready, queue.largest_piece = 0, 0, queue.last_id + 1, 0
    -- Items that nobody will get come before every later delivery.
    queue.last_delivered = queue.last_id
    return items
end

function changes.close(rest)
    local drops_ready = requests.flag(rest, 'now')
    if drops_ready == nil then return 'close takes now, or nothing' end
    begin_round()
    queue.sentinel = CLOSED
    reply(CALLER, format('count %.0f\n', drops_ready and clear() or 0))
end

-- Takes one failed item, or all for the id 0. Nil if there is no such item.
local function take_failed(rest)
    local id = number(rest)
    if not id then return nil, requests.ID_WANTED end
    if id == 0 then
        local all = call('ZRANGE', FAILED, 0, -1)
        call('UNLINK', FAILED)
        return all
    end
    local text = decimal(id)
    local one = call('ZRANGEBYSCORE', FAILED, text, text)
    if not one[1] then
        local sent = match(rest, '^0*(%d.*)$')
        reply_error(CALLER, 'not-failed', 'no item ' .. sent .. ' has failed: `qdemo failed` lists those that have')
        return nil
    end
    call('ZREM', FAILED, one[1])
    return one
end

function changes.retry(rest)
    local all, malformed = take_failed(rest)
    if not all then return malformed end
    if all[1] then
        -- The round of these items may have ended. Their retry begins a round that ends after these items.
        if has_ended() and queue.sentinel == NO_SENTINEL then queue.sentinel = LAST_PRODUCER_LEFT end
        begin_round()
    end
    for _, packed in ipairs(all) do
        local batch = batches.unpack_failed(packed)
        batch.attempt, batch.delivery_failures = min(batch.attempt + 1, MAX_ATTEMPT), 0
        batches.make_ready(batch)
    end
    reply(CALLER, format('count %.0f\n', #all))
end

function changes.drop(rest)
    local all, malformed = take_failed(rest)
    if not all then return malformed end
    reply(CALLER, format('count %.0f\n', #all))
end

function changes.sleep(rest)
    if not number(rest) then return 'sleep takes nanoseconds' end
    reply_error(CALLER, 'not-paced', 'time is not paced here: wait by your own clock')
end

changes.bye = requests.plain(function()
    clients().disconnect(CALLER, client(CALLER), false)
    reply(CALLER, format('bye %.0f %.0f\n', ready_count(), queue.consumers))
    is_over = true
end)

-- The bridge of a client that has gone without a word.
changes.died = requests.plain(function()
    clients().disconnect(CALLER, client(CALLER), true)
    is_over = true
end)

-- The bridge has forwarded `ended`: processes of its machine that start later were not there before the end.
changes['end-told'] = function(rest)
    local is_json, told = pcall(cjson.decode, rest)
    if not is_json or type(told) ~= 'table' or type(told.boot_id) ~= 'string' then return 'end-told takes a moment' end
    local tick, pid, ns = tonumber(told.tick), tonumber(told.pid), tonumber(told.ns) or 0
    if not (tick and pid) then return 'end-told takes a moment' end
    if queue.ended_at > 0 then call('HSETNX', ENDS_TOLD, told.boot_id, pack('<ddd', tick, pid, ns)) end
end

return changes
