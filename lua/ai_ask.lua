-- How ai.lua asks the annotator: through a module of native code, see native/.
-- ai.lua loads this file, hands it what it needs and takes what it returns; by
-- itself it does nothing, as Wireshark runs every file in a plugin folder.
-- Licence: Apache-2.0.

local ai = ...
if type(ai) ~= "table" then
    return
end

local MODULE = os.getenv("AMPULLA_NATIVE") or ai.here .. "ampulla.so"

local function exists(path)
    local file = io.open(path, "rb")
    return file and file:close()
end

if not exists(MODULE) then
    return -- comments only, which is nothing wrong
end

local READ_AHEAD = os.getenv("AMPULLA_READAHEAD") ~= "0"

-- command_line returns what this tshark was told: the file to read, whether in
-- two passes, whether with a read filter or a statistic, and whether to ask the
-- annotator. Empty for anything but tshark.
local function command_line()
    local told, takes = {}, nil
    local file = not ai.windows and io.open("/proc/self/cmdline", "rb")
    local all = file and file:read("*a") or ""
    if file then
        file:close()
    end
    for argument in (all:match("^[^\0]*tshark\0(.*)") or ""):gmatch("[^\0]+") do
        if takes then
            told[takes], takes = argument, nil
        else
            local flags, option, value = argument:match("^%-([2ghIlLnpPqQSvVx]*)(%a?)(.*)")
            told.ask = told.ask or argument:match("^ai%.ask:(.*)")
            told.twice = told.twice or flags and flags:find("2") ~= nil
            if option == "r" or option == "R" or option == "z" then
                told[option] = value
                takes = value == "" and option
            end
        end
    end
    return told
end

-- readable tells whether a path is that of a capture file which the module can
-- read by itself. Only what is surely a file is opened: it might be a pipe.
local function readable(path)
    local file = path and os.execute("test -f '" .. path:gsub("'", "'\\''") .. "'") and io.open(path, "rb")
    if not file then
        return false
    end
    local head = file:read(4096) or ""
    file:close()
    -- A file that we have annotated says so at its beginning; its comments are
    -- there even if nobody looks.
    local magic = head:sub(1, 4)
    return (magic == "\10\13\13\10" and not head:find("ai/" .. ai.grammar, 1, true))
        or magic == "\212\195\178\161" or magic == "\161\178\195\212"
        or magic == "\77\60\178\161" or magic == "\161\178\60\77"
end

local told = command_line()

-- What ai.lua uses. alone means that the module reads the capture file by itself
-- and can do without what only fields tell, each of which makes every packet of
-- every capture a tenth slower; once, that each frame comes once and in order,
-- without a number; skip_first, that nothing comes of the first pass.
local alone = not told.ask and READ_AHEAD and readable(told.r)
local asker = {
    told = told,
    alone = alone,
    once = alone and not told.twice,
    skip_first = alone and told.twice and not told.R,
    module = nil,   -- the native module while a capture is open
    trouble = nil,  -- why there is none
    tshark = false, -- this is tshark: nobody begins to look in the middle of a pass
    kept = false,   -- the first pass of tshark -2 knew no fields; all frames go in the second
}

local frame_time, frame_encap, frame
if not alone then
    frame_time = Field.new("frame.time_epoch")
    frame_encap = Field.new("frame.encap_type")
end

local loaded -- the native module, or false; nil before it is needed
local exact  -- the module wants what only fields tell

-- load_native loads the module, with the first packet: sharkd forks after it has
-- loaded scripts, which the module would not survive.
local function load_native()
    local open, problem = package.loadlib(MODULE, "luaopen_ampulla")
    local ok = open ~= nil
    if open then
        ok, problem = pcall(open)
    end
    if not ok then
        asker.trouble = "native module: " .. tostring(problem)
        return false
    end
    -- Every packet leaves its bytes and a tree item behind. Lua 5.4 collects what
    -- is that young in a third of the time if told to. With two passes that mode
    -- is slower, and how it does in Wireshark's hours is not known.
    if asker.once and _VERSION >= "Lua 5.4" then
        collectgarbage("generational")
    end
    return problem
end

local number_of, time_of

-- begin opens the capture whose first frame this is, if there is a module. What
-- nobody wants who only looks at scores is left out.
function asker.begin(pinfo, scores_only)
    if loaded == nil then
        loaded = load_native()
    end
    if loaded then
        number_of, time_of = ai.getter(pinfo, "number"), ai.getter(pinfo, "abs_ts")
        asker.tshark = loaded.open(ai.prefs.address, os.getenv("AMPULLA_PROGRAM") or "",
            "ai.lua " .. ai.version, ai.prefs.timeout, READ_AHEAD, ai.windows, alone,
            alone and not told.R and scores_only)
        asker.module, asker.kept, exact = loaded, false, false
    end
    return asker.module
end

local SNAP = 512 -- bytes of a packet that the annotator looks at

-- What is looked up once is not looked up for every frame.
local once = asker.once
local captured, reported, bytes = Tvb.len, Tvb.reported_len, Tvb.raw

-- ask takes the frame to the annotator, in order, and returns its score if
-- somebody looks, after which the module's verdict() tells more, or a comment that
-- has its verdict; nil and what is wrong if there is none.
function asker.ask(tvb, pinfo, tree, visited, look)
    local number, time, caught = once and 0 or number_of(pinfo), time_of(pinfo), captured(tvb)
    local data = caught > 0 and bytes(tvb, 0, caught < SNAP and caught or SNAP) or ""
    if not exact or visited then
        local score, problem = loaded.frame(number, time, visited, look, caught, data)
        if score ~= false then
            return score, problem
        elseif alone then
            return nil, "frame could not be found in the capture file"
        end
        exact = true
    end
    local stamp, encap = frame_time(), frame_encap()
    if not stamp and not encap then -- it has neither, or no field is known in this pass
        frame = frame or Dissector.get("frame")
        if not tree:referenced(frame) then
            asker.kept = true
            return nil
        end
    end
    stamp = stamp and stamp.value
    return loaded.frame(number, time, visited, look, caught, data, reported(tvb),
        stamp and stamp.secs or 0, stamp and stamp.nsecs or 0, encap and encap.value or -1)
end

return asker
