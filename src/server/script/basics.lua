-- The rules of a queue on a Redis or Valkey server: the counterpart of src/queue and src/keeper.
--
-- The files of this directory are one script, which src/server/script.rs puts together. This file is its outermost level,
-- state.lua and main.lua are one function, and each other file is a function in that one and returns a table.
--
-- A server makes the functions of a script anew in each call, and some only when a call needs them (`lazy`). Lua searches
-- a list of all captured locals for each local of the enclosing function that a new function captures; it only copies a
-- local from further out. So what all functions capture lies here, and as few names as possible: a function can
-- capture 60.
--
-- KEYS: the keys of the queue, in the order of the locals below. ARGV[1]: the key of the client that calls. ARGV[2]: whole
-- requests of the protocol, perhaps none. All replies go to the clients' channels.
--
-- An error is returned only before the first write, since nothing rolls a script back. Names of values: `key` is a client
-- key, `c` a client, `id` an item id. Times are milliseconds of the server's clock.

local META, CLIENTS, READY, REQUEUED, IN_FLIGHT, HELD, LEASES, FAILED, GETTERS, BLOCKED, BLOCKED_ITEMS, JOINERS, TIMERS,
    ENDS_TOLD = unpack(KEYS)
local CALLER, REQUESTS = ARGV[1], ARGV[2]
-- The client's number of the conversation that the requests belong to. Requests of an earlier one may arrive late.
local CONVERSATION = tonumber(ARGV[3]) or 0
local CHANNEL = string.sub(META, 1, -#'meta' - 1) .. 'to:'

local LAYOUT, MAGIC = 1, 'qdemo'
-- The limits of src/queue and src/wire that several parts know.
local MAX_BLOCKED_ITEMS, MAX_ATTEMPT = 65536, 4294967295
-- A client that is not subscribed is dead when it was not heard for this time.
local ABSENCE = 2000

-- Values of numbers in the state.
local PRODUCER, CONSUMER, VISITOR = 1, 2, 3
local NO_SENTINEL, LAST_PRODUCER_LEFT, CLOSED = 0, 1, 2
local CAPACITY_OPEN, UNBOUNDED = -1, 0

local call, find, sub, match, format = redis.call, string.find, string.sub, string.match, string.format
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local pack, unpack_struct = struct.pack, struct.unpack

local function decimal(number) return format('%.0f', number) end

-- A decimal number of at most 64 bits without a sign, or nil.
local function number(text)
    if not find(text, '^%d+$') then return nil end
    if #text >= 20 then
        text = match(text, '^0*(%d+)$')
        if #text > 20 or (#text == 20 and text > '18446744073709551615') then return nil end
    end
    return tonumber(text)
end

-- A decimal number of at most 32 bits.
local function short_number(text)
    local value = number(text)
    return value and value <= MAX_ATTEMPT and value or nil
end

-- A part of the script that only some calls need: its functions are made at the first use.
local function lazy(make)
    local made
    return function()
        made = made or make()
        return made
    end
end
