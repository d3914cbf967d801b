-- Goes through the menus of ai_menu.lua in plain Lua, with windows that print
-- what they show, and prints what becomes of each item.
--
--   lua testdata/menus.lua ai.lua ai_menu.lua

local items = {}
local typed -- into the next dialog
MENU_TOOLS_UNSORTED = 1

function register_menu(name, action)
    items[name] = action
end

function register_packet_menu(name, action, needs)
    assert(items[name] == nil or type(action) == "function")
    print(("packet menu: %s, of packets with %s"):format(name, needs))
end

TextWindow = {}
TextWindow.__index = TextWindow
function TextWindow.new(title)
    print("[" .. title .. "]")
    return setmetatable({ buttons = {} }, TextWindow)
end
function TextWindow:set_atclose(action) self.atclose = action end
function TextWindow:set(text) print((text:gsub("\n*$", ""))) end
function TextWindow:set_editable(yes) assert(yes == false) end
function TextWindow:add_button(label, action)
    print("(" .. label .. ")")
    action()
end

function set_filter(text) io.write("filter: " .. text) end
function apply_filter() print(", applied") end
function open_capture_file(path, filter) print("open: " .. path .. filter) end
function browser_open_url(url) print("browse: " .. url) end
function redissect_packets() print("the packets are judged again") end
function new_dialog(title, action, ...)
    local values = {}
    for i, field in ipairs({ ... }) do
        print(("[%s] %s: %s"):format(title, field.name, field.value))
        values[i] = type(typed) ~= "table" and typed or typed[i] or field.value
    end
    action((table.unpack or unpack)(values))
end

ProgDlg = {}
ProgDlg.__index = ProgDlg
function ProgDlg.new(title, task)
    print(("progress of %s: %s"):format(title, task))
    return setmetatable({ updates = 0 }, ProgDlg)
end
function ProgDlg:update(share) self.updates = self.updates + 1; assert(share >= 0 and share <= 1) end
function ProgDlg:stopped() return self.updates == 3 end
function ProgDlg:close() print("progress is over") end

-- The native module: what each kind of work comes to, after so many questions.
local results, pending = {}, nil
local noted_words -- what came with the last feedback
local refused = 0 -- how often it is refused
local native = {}
function native.start(kind, number, out)
    if kind == "feedback" then
        noted_words = out
        if refused > 0 then
            refused, pending = refused - 1, { nil, "annotator: there is no scope", 0 }
            return nil
        end
    end
    local result = results[kind]
    pending = result and { result[1], result[2], result[3] or 0 }
    return not result and ("cannot %s %d %s"):format(kind, number, out) or nil
end
function native.result()
    if pending[3] > 0 then
        pending[3] = pending[3] - 1
        return nil, 0.5
    elseif pending[1] then
        return pending[1]
    end
    return false, pending[2]
end
function native.stop() print("stopped") end

local there, noted, selected = native, {}, nil
local grammar = assert(dofile(arg[1]))
assert(loadfile(arg[2]))() -- as Wireshark runs it: nothing happens
assert(next(items) == nil)
assert(loadfile(arg[2]))(grammar, {
    native = function() return there, "it is turned off" end,
    noted = function() return noted end,
    selected = function() return selected end,
})

local function try(what, name)
    print("\n== " .. what)
    items["AI/" .. name]()
end

local SCAN = "incident=1 type=port_scan score=1.000 first=465 last=963 packets=485 anomalous=244 flows=245 "
    .. "actors=10.0.0.66 actor_count=1 targets=10.0.0.5 target_count=1 filter=x reason=218%20probes%20(SYN)%20to%20218"
    .. "%20ports%20of%2010.0.0.5%20within%200.9%20s,%20up%20to%20218%20a%20second,%20206%20refused,%20100%25%20new\n"
local FLOOD = "incident=2 type=flood score=1.000 first=1000 last=1000 packets=1 anomalous=1 flows=1 actors=192.0.2.1,192.0.2.2,"
    .. "192.0.2.3 actor_count=1024 targets=10.0.0.5 target_count=1 services=udp/53 service_count=1 filter=x reason=much\n"
local ODD = "incident=3 type=outlier score=0.600 first=7 last=9 packets=3 anomalous=0 flows=1 actors=10.0.0.7 filter=x reason=odd\n"

try("a summary that is not there", "Summary of this capture")
results.incidents = { SCAN .. FLOOD .. ODD .. "left_out=5\n" }
try("a summary", "Summary of this capture")
results.incidents = { "left_out=0\n" }
try("a quiet capture", "Summary of this capture")
results.incidents = { "left_out=0\n", nil, 3 }
try("a summary that takes a while", "Summary of this capture")
results.incidents = { "left_out=0\n", nil, 100 }
try("a summary that is stopped", "Summary of this capture")
results.incidents = { nil, "annotator has gone" }
try("a summary without an annotator", "Summary of this capture")
noted = { [4] = { first = 2, last = 8, packets = 2, score = 0.9, type = "dns_tunnel", reason = "41 names" } }
try("a summary of comments", "Summary of this capture")

try("nothing selected", "Explain this packet")
selected = { number = 5 }
try("no verdict", "Explain this packet")
selected = { number = 5, verdict = { status = "annotator does not answer" } }
try("no verdict, and why", "Apply filter for this incident")
selected = { number = 6, verdict = { class = "dns", score = 0.03, verdict = "normal" } }
results.explain = { "No single value is unusual.\n" }
try("a normal packet", "Explain this packet")
try("a normal packet", "Apply filter for this incident")
selected = { number = 923.0, verdict = {
    class = "unknown", score = 1, verdict = "anomalous", type = "port_scan", reason = "218 probes",
    incident = 1.0, first = 465.0, last = 963.0, flow = 290.0,
} }
results.explain = { nil, "the capture file is not known" }
try("an anomalous packet, half known", "Explain this packet")
try("an anomalous packet", "Apply filter for this incident")

typed, results.propose, results.feedback = {}, {}, {}
results.propose[2] = "annotator has gone"
try("nobody to propose anything", "This is normal here...")
results.propose = { "hosts=10.0.0.66,10.0.0.5 service= type=port_scan" }
results.feedback = { "7\n10.0.0.66 and 10.0.0.5, port scan" }
results.undo = { "7\n10.0.0.66 and 10.0.0.5, port scan" }
typed = { [4] = "the night's inventory\n100 %" }
try("what is normal", "This is normal here...")
print(noted_words)
results.undo = { nil, "there is no such rule" }
typed = { "", "tcp/22", "" }
try("what is bad, and cannot be undone", "This is bad...")
print(noted_words)
selected.verdict.source = "comment"
try("what is normal, of comments", "This is normal here...")
selected.verdict.source = nil
refused, typed = 2, { "", "", "", "why" }
try("nothing said, and then something", "This is bad...")

typed = ""
results.path = { "/data/office.pcap.gz" }
try("nothing typed", "Save annotated copy")
typed = " ~/copy.pcapng "
results.annotate = { "done" }
try("a copy", "Save annotated copy")
typed = "/proc/self/exe"
try("a copy over a file", "Save annotated copy")
typed, results.path = "/nowhere/report.html", { "/tmp/wireshark_eth0XYZ.pcapng" }
results.report = { nil, "no such folder" }
try("a report that fails", "Report")
results.report = { "done" }
try("a report", "Report")
there = false
try("a report without an annotator", "Report")
