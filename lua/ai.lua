-- Ampulla's verdicts in Wireshark, as fields: from the packet comments that
-- `ampulla annotate` and the AI capture interface write, or else from the
-- annotator, if ai_ask.lua and the module ampulla.so lie beside this file.
--
--   tshark -X lua_script:ai.lua -r capture.pcapng -Y 'ai.anomaly.score > 0.8'
--
-- Works in Wireshark 4.0 (Lua 5.2) to 4.6 (Lua 5.4), by itself or as a file in
-- a plugin folder. Copyright Ampulla's authors; licence: Apache-2.0.

local VERSION = "0.1.0"

-- The comment grammar ------------------------------------------------------
-- Independent of Wireshark. Its counterpart, and its definition, is
-- annotator/verdict/comment.go; testdata/comments.json holds both to the same.
--
--   AI: port scan, score 0.97: 412 SYNs to 398 ports of 10.0.0.5 within 1.0 s
--   ai/1 class=unknown conf=0.41 score=0.970 verdict=anomalous type=port_scan incident=3 first=476 flow=17

local GRAMMAR = "1"

local SUSPICIOUS, ANOMALOUS, CERTAIN = 0.5, 0.8, 0.95

-- is_text tells whether s is UTF-8 without control characters.
local function is_text(s)
    if not s:find("[^\32-\126]") then
        return true
    end
    s = s:gsub("[\194-\223][\128-\191]", " ")
        :gsub("[\224-\239][\128-\191][\128-\191]", " ")
        :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", " ")
    return not s:find("[^\32-\126]")
end

-- shown returns s, or what of it can be shown.
local function shown(s)
    return is_text(s) and s or (s:gsub("[^\32-\126]", "?"))
end

-- text reads a percent-encoded value. What would decode to something that
-- cannot be shown stays encoded.
local function text(value)
    if not value:find("[^\33-\36\38-\126]") then -- neither % nor beyond ASCII
        return value
    end
    if value:gsub("%%%x%x", ""):find("%", 1, true) then
        return nil, "bad percent-encoding"
    end
    local decoded = value:gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
    end)
    return is_text(decoded) and decoded or shown(value)
end

-- share reads a number from 0 to 1. tonumber gets to see digits only: where
-- the locale has a decimal comma it knows no decimal point.
local function share(value)
    if #value <= 20 then
        local whole, fraction = value:match("^(%d*)%.?(%d*)$")
        local digits = whole and tonumber(whole .. fraction)
        local x = digits and digits / 10 ^ #fraction
        if x and x <= 1 then
            return x
        end
    end
    return nil, shown(value:sub(1, 40)) .. " is not between 0 and 1"
end

local function uint32(value)
    local n = value:match("^%d+$") and #value <= 10 and tonumber(value)
    if n and n < 2 ^ 32 then
        return n
    end
    return nil, shown(value:sub(1, 40)) .. " is not a 32-bit number"
end

local readers = {
    class = text, verdict = text, type = text, cid = text, model = text,
    conf = share, score = share, flow = uint32, incident = uint32, first = uint32, rule = uint32,
}

local function level(score)
    return score > ANOMALOUS and "anomalous" or score >= SUSPICIOUS and "suspicious" or "normal"
end

-- reason_of returns what follows "AI: <what>, score <number>: ".
local function reason_of(sentence)
    local _, score = sentence:find(", score ", 1, true)
    local _, colon = sentence:find(": ", score or #sentence, true)
    return colon and colon < #sentence and shown(sentence:sub(colon + 1)) or nil
end

-- read_pairs adds the key=value pairs of a line that there are readers for to a
-- table and returns it, or nil and what is wrong with one of them.
local function read_pairs(line, how, into)
    for pair in line:gmatch("%S+") do
        local equals = pair:find("=", 1, true) or #pair
        local key = pair:sub(1, equals - 1)
        local read = equals < #pair and how[key]
        if read then
            local problem
            into[key], problem = read(pair:sub(equals + 1))
            if problem then
                return nil, key .. ": " .. problem
            end
        end
    end
    return into
end

-- parse reads the verdict in a comment: a table with the keys of readers and
-- reason. It returns nil when there is none, or nil and what is wrong with it.
-- Here and above, no pattern that may try again from every position, or share
-- out a run in every way: on a hostile comment of 64 kB that takes seconds.
local function parse(comment)
    local sentence, machine, other
    for line in comment:gmatch("[^\n]+") do
        local start = line:sub(1, 4)
        if start == "AI: " then
            sentence = sentence or line:gsub("\r$", "")
        elseif start:sub(1, 3) == "ai/" then
            local version, rest = line:match("^ai/(%d+) (.+)$")
            if version == GRAMMAR then
                machine = machine or rest
            else
                other = other or version
            end
        end
    end
    if not machine then
        return nil, other and ("a comment in grammar ai/%s, but this plugin (%s) reads ai/%s only")
            :format(other:sub(1, 9), VERSION, GRAMMAR)
    end
    local verdict, problem = read_pairs(machine, readers, { class = "unknown" })
    if not verdict then
        return nil, ("malformed ai/%s comment: %s"):format(GRAMMAR, problem)
    end
    if not verdict.score then
        return nil, ("malformed ai/%s comment: no score"):format(GRAMMAR)
    end
    verdict.verdict = verdict.verdict or level(verdict.score)
    for _, key in ipairs({ "flow", "incident", "first", "rule" }) do
        if verdict[key] == 0 then
            verdict[key] = nil -- part of none
        end
    end
    if verdict.type or verdict.rule or verdict.verdict == "learning" then
        verdict.reason = sentence and reason_of(sentence)
    end
    return verdict
end

local WORDS = {
    slow_dos = "slow DoS", dns_tunnel = "DNS tunnel",
    icmp_tunnel = "ICMP tunnel", arp_spoof = "ARP spoofing",
}

-- words returns a type as people write it: "port scan".
local function words(kind)
    return WORDS[kind] or (kind:gsub("_", " "))
end

-- headline says in a few words what it is: "port scan, score 0.97".
local function headline(verdict)
    local what = verdict.type and words(verdict.type) or verdict.class
    local score = ("%.2f"):format(verdict.score):gsub("%D", ".") -- whatever the locale
    return ("%s, score %s"):format(what, score)
end

-- What the menus need of this part.
local grammar = {
    parse = parse, read_pairs = read_pairs, text = text, share = share, uint32 = uint32,
    words = words, headline = headline, anomalous = ANOMALOUS,
}

if not Proto then -- plain Lua: the tests
    return grammar
end

-- In Wireshark -------------------------------------------------------------

-- A global and a personal copy, or one beside -X lua_script, are all run.
if package.loaded["ampulla.ai"] then
    return
end
package.loaded["ampulla.ai"] = true

set_plugin_info {
    version = VERSION,
    author = "Ampulla's authors",
    description = "What each packet belongs to and how unusual it is (Ampulla)",
}

local ai = Proto("ai", "AI verdict (Ampulla)")

-- In the order of display: the key in a verdict, its field.
local fields = {
    { "class", ProtoField.string("ai.class", "Class", nil, "Protocol by behaviour, whatever the port") },
    { "conf", ProtoField.double("ai.class.confidence", "Class confidence",
        "That the class is right, 0 to 1") },
    { "score", ProtoField.double("ai.anomaly.score", "Anomaly score",
        "Calibrated: of benign packets, one in ten scores above 0.27, one in a thousand above 0.8") },
    { "verdict", ProtoField.string("ai.anomaly.verdict", "Verdict", nil,
        "normal, suspicious (from 0.5), anomalous (above 0.8), or learning") },
    { "type", ProtoField.string("ai.anomaly.type", "Anomaly type") },
    { "reason", ProtoField.string("ai.anomaly.reason", "Reason") },
    { "incident", ProtoField.uint32("ai.incident", "Incident", base.DEC, nil, nil,
        "Its number within the capture; packets of one event share it") },
    { "first", ProtoField.framenum("ai.incident.first", "Incident begins with", base.NONE, frametype.NONE, 0,
        "First packet of the event") },
    { "last", ProtoField.framenum("ai.incident.last", "Incident so far ends with", base.NONE,
        frametype.NONE, 0, "Last packet of the event that is known by now") },
    { "flow", ProtoField.uint32("ai.flow", "Flow", base.DEC, nil, nil, "Its number within the capture") },
    { "cid", ProtoField.string("ai.flow.community_id", "Community ID") },
    { "model", ProtoField.string("ai.model", "Model", nil, "Version of the models") },
    { "source", ProtoField.string("ai.source", "Source", nil, "Where the verdict comes from") },
    { "status", ProtoField.string("ai.status", "Status", nil, "What is wrong; absent when all is well") },
}
for i, field in ipairs(fields) do
    ai.fields[i] = field[2]
end

-- The Expert Information dialog groups items by what they were registered as,
-- so there is one for each type and severity; any other type is an "Anomaly".
local TYPES = {
    "anomaly", "port_scan", "host_scan", "flood", "slow_dos", "brute_force", "exfiltration",
    "dns_tunnel", "icmp_tunnel", "beacon", "arp_spoof", "outlier",
}
local experts, all_experts = {}, {}
for _, kind in ipairs(TYPES) do
    experts[kind] = {}
    for severity in ("chat note warn error"):gmatch("%a+") do
        local summary = words(kind):gsub("^%l", string.upper)
        local item = ProtoExpert.new(("ai.expert.%s.%s"):format(kind, severity), summary,
            expert.group.SECURITY, expert.severity[severity:upper()])
        experts[kind][severity] = item
        all_experts[#all_experts + 1] = item
    end
end
ai.experts = all_experts

ai.prefs.enable = Pref.bool("Show verdicts", true, "Those in packet comments, and the annotator's")
ai.prefs.ask = Pref.bool("Ask the annotator", true,
    "About packets without a comment; it is started when needed, and runs on this computer")
ai.prefs.address = Pref.string("Annotator's address", "",
    "unix:<path> of its socket; empty for your own annotator")
ai.prefs.timeout = Pref.uint("Patience in ms", 1500,
    "How long Wireshark may wait for an annotator that does not answer")
ai.prefs.always = Pref.bool("Annotate always", false,
    "Even where nobody seems to look: expert items need this in the Expert Information dialog")
ai.prefs.expert = Pref.string("Expert items from score", "0.5",
    "Scores from this one on get an expert item: a number from 0 to 1; 0.5 if it is anything else")
ai.prefs.column = Pref.bool("Class as protocol column", false,
    "In the place of what Wireshark's dissectors wrote there; tshark needs Annotate always for it, too")

local windows = gui_enabled() -- this is Wireshark

-- What preferences say; reading those is slow.
local enabled, asking, always, column, expert_from = true, true, false, false, SUSPICIOUS

-- A view is what somebody looks at in a frame: look (at anything of ours) and
-- some (of it other than the score, expert items included). In tshark it stays
-- the same for all frames of a pass, and is found out once.
local views = {}
-- pinfo.visited of a pass of tshark in which nobody looks, or only at the score;
-- and whether nobody looks at the protocol, which costs more than the score
local idle, quick, bare
local this -- the dissector below

local function forget_views()
    views, idle, quick, bare = {}, nil, nil, nil
end

local function view_of(tree, visited)
    this = this or Dissector.get("ai")
    local all = tree.visible
    local view = { look = all or always or tree:referenced(this), some = all or always or column }
    for _, field in ipairs(view.look and not view.some and fields or {}) do
        view.some = view.some or field[1] ~= "score" and tree:referenced(field[2])
    end
    views[visited] = view
    return view
end

function ai.prefs_changed()
    enabled, asking, always, column = ai.prefs.enable, ai.prefs.ask, ai.prefs.always, ai.prefs.column
    expert_from = share((ai.prefs.expert:gsub(",", "."))) or SUSPICIOUS
    forget_views()
end

local visited_of, number_of

-- getter returns what pinfo[name] calls.
local function getter(pinfo, name)
    local getters = (debug.getmetatable(pinfo) or {}).__getters
    return getters and getters[name] or function(of) return of[name] end
end

-- part loads a file beside this one, if it is there: of one that is not, Wireshark's
-- loadfile, unlike Lua's, makes an error. It does nothing by itself, as Wireshark
-- runs each file in a plugin folder.
local HERE = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
local function part(name)
    local file = io.open(HERE .. name, "rb")
    return file and file:close() and loadfile(HERE .. name)
end

-- How the annotator is asked. Where that file or the module is not there, there
-- are only comments.
local load_asker = part("ai_ask.lua")
local asker = load_asker and load_asker({
    version = VERSION, grammar = GRAMMAR, here = HERE, windows = windows, prefs = ai.prefs, getter = getter,
}) or { told = {} }
local ask, told, alone, once, skip_first = asker.ask, asker.told, asker.alone, asker.once, asker.skip_first
local frame_comment = not alone and Field.new("frame.comment") -- costs a tenth of a packet's time

-- from_comment returns the verdict in the comments of a frame, or nil and what
-- is wrong with it. The last comment with a verdict counts: since 4.4 Wireshark
-- hands out each line of a comment by itself, and then the whole.
local function from_comment(comments)
    local problem
    for i = #comments, 1, -1 do
        local verdict, why = parse(comments[i].value)
        if verdict then
            verdict.source = "comment"
            return verdict
        end
        problem = problem or why
    end
    return nil, problem
end

-- The incidents that comments tell of, by number: of each the first and the last
-- packet, how many have such a comment, and what is said of the highest.
local noted = {}

-- note takes in the verdict in the comment of a packet.
local function note(verdict, number)
    local n = verdict.incident
    if not n then
        return
    end
    local incident = noted[n] or { first = verdict.first or number, last = 0, packets = 0, rank = -1 }
    noted[n] = incident
    if number > incident.last then -- the first time
        incident.last, incident.packets = number, incident.packets + 1
        -- Before it was known what it is, its packets were outliers.
        local rank = verdict.score + (verdict.type == "outlier" and 0 or 1)
        incident.score = math.max(incident.score or 0, verdict.score)
        if rank >= incident.rank then
            incident.rank, incident.type, incident.reason = rank, verdict.type, verdict.reason
        end
    end
end

local selected -- in Wireshark's window: number and verdict of the packet whose details are shown

function ai.init() -- runs twice when Wireshark starts
    asker.module = nil -- which begins with another capture
    noted, selected = {}, nil
    forget_views()
end

local function add_expert(item, verdict)
    local score = verdict.score
    local severity = score > CERTAIN and "error" or score > ANOMALOUS and "warn"
        or score >= SUSPICIOUS and "note" or "chat"
    local kind = experts[verdict.type] or experts.anomaly
    item:add_proto_expert_info(kind[severity], verdict.reason or headline(verdict))
end

-- Fields are added whether or not tree:referenced says that somebody looks:
-- expert items and colour rules want the verdict read anyway, and adding what
-- nobody looks at is a tenth of the cost of a frame with a comment.
local function add_fields(item, verdict)
    for _, field in ipairs(fields) do
        local value = verdict[field[1]]
        if value then
            item:add(field[2], value):set_generated()
        end
    end
end

-- show adds a verdict, or what is wrong, to the tree.
local function show(pinfo, tree, verdict)
    local item = tree:add(ai):set_generated()
    item:set_text("AI: " .. (verdict.score and headline(verdict) or verdict.status))
    add_fields(item, verdict)
    if verdict.score and verdict.score >= expert_from then
        add_expert(item, verdict)
    end
    if column and verdict.class and verdict.class ~= "unknown" then
        pinfo.cols.protocol = verdict.class:upper()
    end
end

local type, add = type, TreeItem.add
local score_field = fields[3][2]

-- unnamed tells whether nobody looks at the protocol as such: Wireshark leaves
-- out an item within another one then, and returns the outer one in its place.
local function unnamed(tree)
    local outer = add(tree, ai)
    add(outer, ai):set_generated()
    return not told.z and outer.generated -- some statistics are made of protocols
end

-- answer makes a verdict of what ask returned, or nil and what is wrong.
local function answer(score, problem)
    if type(score) == "string" then
        return from_comment({ { value = score } })
    elseif score then
        local verdict = asker.module.verdict()
        verdict.source = "annotator"
        return verdict
    end
    return nil, problem
end

-- complete adds to a verdict what may change while packets come: the last one of
-- its incident. It is left out in the first pass, where what is known depends on
-- how far the annotator has come by chance.
local function complete(verdict, number, visited)
    if verdict.source == "comment" then
        note(verdict, number)
        local incident = noted[verdict.incident]
        verdict.last = incident and incident.last
    end
    verdict.last = visited and verdict.last or nil
end

-- dissect shows the verdict in a comment, or else the annotator's, to which
-- every frame has to go.
local function dissect(tvb, pinfo, tree, visited)
    local verdict, problem
    if frame_comment and frame_comment() then
        verdict, problem = from_comment({ frame_comment() })
    end
    local open = asking and ask and (asker.module
        or not asker.trouble and asker.begin(pinfo, not view_of(tree, visited).some))
    if open then
        local view = asker.tshark and views[visited] or view_of(tree, visited)
        local look = view.look and not verdict
        if not look and not asker.kept and (visited or asker.module.pass(number_of(pinfo))) then
            if asker.tshark and not view.look then
                idle = visited
            end
        else
            local score, why = ask(tvb, pinfo, tree, visited, look)
            if look and not view.some and alone and asker.tshark then
                quick, bare = visited, unnamed(tree)
            end
            if type(score) == "number" and not view.some and not problem then
                add(add(tree, ai), score_field, score)
                return
            end
            local found
            found, why = answer(score, why)
            if found then
                verdict, found.status = found, problem
            end
            problem = problem or why
        end
    elseif asking then
        problem = problem or asker.trouble
    end
    verdict = verdict or problem and { status = problem }
    if verdict then
        complete(verdict, number_of(pinfo), visited)
        show(pinfo, tree, verdict)
    end
    if windows and tree.visible then
        selected = { number = number_of(pinfo), verdict = verdict }
    end
end

-- A bug here must not cost the packet's other details, nor raise on every one.
local function guarded(tree, work, ...)
    local ok, problem = pcall(work, ...)
    if not ok then
        pcall(add_fields, tree:add(ai), { status = "bug in ai.lua: " .. tostring(problem) })
    end
end

local function show_answer(pinfo, tree, visited, score, problem)
    local verdict, why = answer(score, problem)
    if verdict or why then
        verdict = verdict or { status = why }
        complete(verdict, number_of(pinfo), visited)
        show(pinfo, tree, verdict)
    end
end

function ai.dissector(tvb, pinfo, tree)
    if not visited_of then
        visited_of, number_of = getter(pinfo, "visited"), getter(pinfo, "number")
    end
    local visited = not once and visited_of(pinfo)
    if skip_first and not visited then
        return
    elseif visited == quick then -- tshark, where all that counts is the score
        local score, problem = ask(tvb, pinfo, tree, visited, true)
        if type(score) == "number" then
            add(bare and tree or add(tree, ai), score_field, score)
        elseif score or not bare then
            guarded(tree, show_answer, pinfo, tree, visited, score, problem)
        end
    elseif enabled and (visited ~= idle or frame_comment and frame_comment()) then
        guarded(tree, dissect, tvb, pinfo, tree, visited)
    end
end

register_postdissector(ai)

local menus = windows and part("ai_menu.lua")
if menus then
    menus(grammar, {
        noted = function() return noted end,
        selected = function() return selected end,
        -- the native module, or false and why there is none
        native = function()
            if not enabled or not asking then
                return false, "asking the annotator is turned off (Edit > Preferences > Protocols > AI)"
            end
            local why = ask and "no capture is open"
                or "ai_ask.lua and the module ampulla.so are not installed beside ai.lua"
            return asker.module, asker.trouble or why
        end,
    })
end
