-- The requests that ask about the queue, and its removal. A call that needs none of them does not make these functions.

local queries = {}

queries.size = requests.plain(function()
    steps.take_steps()
    reply(CALLER, format('size %.0f %.0f %.0f %.0f %.0f\n', ready_count(), queue.in_flight, queue.done,
        call('ZCARD', FAILED), max(queue.capacity, 0)))
end)

-- Seconds as serde_json writes them.
local function seconds(milliseconds)
    if not milliseconds then return 'null' end
    local text = format('%.3f', max(milliseconds, 0) / 1000)
    return (string.gsub(string.gsub(text, '0+$', ''), '%.$', '.0'))
end

-- The batches in flight of all clients: `count` and `since` (the oldest delivery) of each, and the oldest acceptance.
local function holdings()
    local held, oldest = {}, nil
    local members = call('ZRANGE', HELD, 0, -1)
    for _, member in ipairs(members) do
        local packed = call('HGET', IN_FLIGHT, decimal(tonumber(sub(member, 18))))
        if packed then
            local batch = batches.unpack_in_flight(0, packed)
            local sum = held[batch.client] or { count = 0, since = batch.delivered_at }
            sum.count, sum.since = sum.count + batch.count, min(sum.since, batch.delivered_at)
            held[batch.client] = sum
            oldest = min(oldest or batch.accepted_at, batch.accepted_at)
        end
    end
    return held, oldest
end

local function first_accepted_at()
    local requeued = queue.requeued > 0 and call('ZRANGE', REQUEUED, 0, 0)[1]
    if requeued then return batches.unpack_requeued(requeued).accepted_at end
    local piece = call('LINDEX', READY, 0)
    return piece and batches.unpack_piece(piece).accepted_at
end

-- All clients in the order in which they connected.
local function clients_in_order()
    local all = {}
    for _, key in ipairs(call('HKEYS', CLIENTS)) do
        local c = client(key)
        if c and c.is_dead == 0 then all[#all + 1] = { key = key, c = c } end
    end
    -- The caller may be too new to be stored.
    if call('HEXISTS', CLIENTS, CALLER) == 0 then all[#all + 1] = { key = CALLER, c = client(CALLER) } end
    table.sort(all, function(a, b) return a.c.order < b.c.order end)
    return all
end

local ROLES = { 'producer', 'consumer', 'visitor' }

queries.status = requests.plain(function()
    steps.take_steps()
    local held, oldest = holdings()
    local first = first_accepted_at()
    if first then oldest = min(oldest or first, first) end
    local producers, consumers = {}, {}
    for _, one in ipairs(clients_in_order()) do
        local c, sum = one.c, held[one.key]
        local waits = c.blocked_items > 0 and 'room' or c.pending_get > 0 and 'item' or c.is_joining == 1 and 'done'
        local text = format('{"pid":%.0f,"role":"%s","items":%.0f,"waits_for":%s,"in_flight":%.0f,"held_s":%s}', c.pid,
            ROLES[c.role], c.items, waits and '"' .. waits .. '"' or 'null', sum and sum.count or 0,
            seconds(sum and now - sum.since))
        -- A visitor is listed by its present activity.
        local is_visitor = c.role == VISITOR
        if c.role == PRODUCER or (is_visitor and waits == 'room') then producers[#producers + 1] = text end
        if c.role == CONSUMER or (is_visitor and (sum or waits == 'item')) then consumers[#consumers + 1] = text end
    end
    local state = queue.sentinel == CLOSED and 'closed' or queue.sentinel == LAST_PRODUCER_LEFT and 'ending'
        or has_ended() and 'ended' or 'open'
    reply(CALLER, format('status {"ready":%.0f,"in_flight":%.0f,"done":%.0f,"failed":%.0f,"capacity":%s,"sync":%s,',
        ready_count(), queue.in_flight, queue.done, call('ZCARD', FAILED),
        queue.capacity > 0 and decimal(queue.capacity) or 'null', queue.sync == 1 and 'true' or 'false')
        .. '"oldest_s":' .. seconds(oldest and now - oldest) .. ',"state":"' .. state .. '","producers":['
        .. table.concat(producers, ',') .. '],"consumers":[' .. table.concat(consumers, ',') .. ']}\n')
end)

-- The first piece in READY with an item of at least this id.
local function find_piece(from_id)
    local low, high = 0, call('LLEN', READY) - 1
    while low < high do
        local middle = floor((low + high) / 2)
        local first_id, count = unpack_struct(batches.PIECE_FORMAT, call('LINDEX', READY, middle))
        if first_id + count > from_id then
            high = middle
        else
            low = middle + 1
        end
    end
    local packed = call('LINDEX', READY, low)
    return packed and batches.unpack_piece(packed)
end

-- The first ready batch with an item of at least this id.
local function find_ready(from_id)
    if queue.requeued > 0 then
        local text = decimal(from_id)
        local packed = call('ZREVRANGEBYSCORE', REQUEUED, text, '-inf', 'LIMIT', 0, 1)[1]
        local batch = packed and batches.unpack_requeued(packed)
        if batch and batch.first_id + batch.count > from_id then return batch end
        packed = call('ZRANGEBYSCORE', REQUEUED, text, '+inf', 'LIMIT', 0, 1)[1]
        if packed then return batches.unpack_requeued(packed) end
    end
    return from_id <= queue.last_id and find_piece(from_id) or nil
end

function queries.peek(rest)
    local from_text, max_text = match(rest, '^(%d+) (%d+)$')
    local from_id, most = number(from_text or ''), number(max_text or '')
    if not (from_id and most) then return 'peek takes an item id and a count' end
    steps.take_steps()
    local batch = find_ready(from_id)
    if not batch or most == 0 then return reply(CALLER, 'empty\n') end
    if from_id > batch.first_id then batch = batches.split_off(batch, from_id - batch.first_id) end
    if most < batch.count then batches.split_off(batch, most) end
    reply_batch(CALLER, batch)
end

function queries.failed(rest)
    local from_id = number(rest)
    if not from_id then return requests.ID_WANTED end
    steps.take_steps()
    local packed = call('ZRANGEBYSCORE', FAILED, decimal(from_id), '+inf', 'LIMIT', 0, 1)[1]
    if not packed then return reply(CALLER, 'empty\n') end
    local batch, reason = batches.unpack_failed(packed)
    reply(CALLER, format('failed %.0f %.0f %.0f ', batch.first_id, batch.attempt, #batch.lines) .. reason .. '\n'
        .. batch.lines)
end

local function in_use_message(items, failed, others)
    local text = ''
    if items > 0 then
        text = format('%.0f item%s (%.0f ready, %.0f in flight, %.0f failed)', items, items == 1 and '' or 's', ready_count(),
            queue.in_flight, failed)
    end
    if items > 0 and others > 0 then text = text .. ' and ' end
    if others == 1 then
        text = text .. '1 process that uses it'
    elseif others > 1 then
        text = text .. format('%.0f processes that use it', others)
    end
    return 'the queue has ' .. text .. ': give --force to remove it all the same'
end

function queries.remove(rest)
    local force = requests.flag(rest, 'force')
    if force == nil then return 'remove takes force, or nothing' end
    steps.take_steps()
    local failed, others = call('ZCARD', FAILED), queue.clients - 1
    local items = ready_count() + queue.in_flight + failed
    if not force and (items > 0 or others > 0) then
        return reply_error(CALLER, 'in-use', in_use_message(items, failed, others))
    end
    -- What is due comes before the removal, as with a keeper, which does not wait for a call.
    if now >= queue.next_due then clients().handle_due() end
    steps.take_steps()
    for _, one in ipairs(clients_in_order()) do
        if one.key ~= CALLER then reply_error(one.key, 'removed', 'the queue has been removed') end
    end
    reply(CALLER, format('count %.0f\n', items))
    is_over, is_removed = true, true
end

return queries
