-- The menu AI in Wireshark's window, under Tools and, since 4.2, on packets.
-- ai.lua loads this file and hands it what it needs; by itself it does nothing,
-- as Wireshark runs every file in a plugin folder. Licence: Apache-2.0.

local grammar, ai = ...
if type(ai) ~= "table" then
    return
end

local WIDTH = 72  -- of a line, characters
local MOST = 40   -- incidents in a summary
local BUTTONS = 6 -- of these, with a button

-- Windows ------------------------------------------------------------------

local windows = {} -- those that are open; one that nobody refers to any more is closed

-- show opens a window with a text and buttons, each a label and what it does.
local function show(title, text, buttons)
    local window = TextWindow.new("AI: " .. title)
    windows[#windows + 1] = window
    window:set_atclose(function()
        for i, other in ipairs(windows) do
            if other == window then
                table.remove(windows, i)
            end
        end
    end)
    window:set(text)
    window:set_editable(false)
    for _, button in ipairs(buttons or {}) do
        window:add_button(button[1], button[2])
    end
end

-- wrap breaks a text into lines that fit, each with an indent.
local function wrap(text, indent)
    local lines, line = {}, ""
    for word in text:gmatch("%S+") do
        if line ~= "" and #indent + #line + 1 + #word > WIDTH then
            lines[#lines + 1], line = indent .. line, ""
        end
        line = line == "" and word or line .. " " .. word
    end
    lines[#lines + 1] = indent .. line
    return table.concat(lines, "\n")
end

local function filter(text)
    set_filter(text)
    apply_filter()
end

-- only shows the packets whose field has a number, which may be a float in Lua.
local function only(field, number)
    filter(("%s == %d"):format(field, number))
end

-- await has the native module do something, and returns what comes of it, or nil
-- and what is wrong. While it takes longer than a moment, its progress is shown
-- and the user may stop it.
local function await(task, kind, number, out)
    local native, why = ai.native()
    if not native then
        return nil, why
    end
    local problem = native.start(kind, number or 0, out or "")
    if problem then
        return nil, problem
    end
    local text, more = native.result(500)
    if text == nil then
        local progress = ProgDlg.new("AI", task)
        while text == nil and not progress:stopped() do
            progress:update(math.min(math.max(more or 0, 0), 1), task)
            text, more = native.result(100)
        end
        progress:close()
        if text == nil then
            native.stop()
            return nil, "stopped"
        end
    end
    if not text then
        return nil, more
    end
    return text
end

-- Incidents ----------------------------------------------------------------

local incident_readers = { score = grammar.share }
for key in ("type reason actors targets services filter"):gmatch("%a+") do
    incident_readers[key] = grammar.text
end
for key in ("incident first last packets actor_count target_count left_out"):gmatch("[%a_]+") do
    incident_readers[key] = grammar.uint32
end

-- ask_incidents returns the incidents as the annotator knows them, in the order of
-- their numbers, and how many there are beside these.
local function ask_incidents()
    local lines, problem = await("Finding incidents", "incidents")
    if not lines then
        return nil, problem
    end
    local list, left_out = {}, 0
    for line in lines:gmatch("[^\n]+") do
        local incident = grammar.read_pairs(line, incident_readers, {})
        if incident and incident.incident then
            list[#list + 1] = incident
        elseif incident then
            left_out = incident.left_out or 0
        end
    end
    return list, left_out
end

-- noted_incidents returns those that comments tell of.
local function noted_incidents()
    local list = {}
    for number, noted in pairs(ai.noted()) do
        list[#list + 1] = {
            incident = number, type = noted.type, score = noted.score, reason = noted.reason,
            first = noted.first, last = noted.last, packets = noted.packets, commented = true,
        }
    end
    table.sort(list, function(a, b) return a.incident < b.incident end)
    return list
end

-- some names the first few of a list that is joined with commas.
local function some(names, count)
    local list = {}
    for name in (names or ""):gmatch("[^,]+") do
        list[#list + 1] = name
    end
    count = math.max(count or 0, #list)
    if count <= 2 then
        return table.concat(list, ", ")
    end
    return ("%s and %s others"):format(list[1], count >= 1024 and "over 1000" or count - 1)
end

local function capital(s)
    return (s:gsub("^%l", string.upper))
end

local function plural(n, what)
    return n == 1 and ("%d %s"):format(n, what) or ("%d %ss"):format(n, what)
end

-- describe returns an incident as a few lines.
local function describe(incident)
    local score = ("%.2f"):format(incident.score):gsub("%D", ".") -- whatever the locale
    local what = capital(grammar.words(incident.type or "anomaly"))
    local lines = { ("%d  %s, score %s"):format(incident.incident, what, score) }
    local who = some(incident.actors, incident.actor_count)
    local whom = some(incident.targets, incident.target_count)
    if who ~= "" then
        local service = (incident.services or ""):match("^[^,]+$") -- if there is just one
        lines[#lines + 1] = ("   %s to %s%s"):format(who, whom == "" and "anybody" or whom,
            service and ", " .. service or "")
    end
    local first, last = incident.first or 0, incident.last or 0
    lines[#lines + 1] = ("   %s%s, %s"):format(plural(incident.packets or 0, "packet"),
        incident.commented and " with a comment" or "",
        first == last and ("number %d"):format(first) or ("from %d to %d"):format(first, last))
    if incident.reason then
        lines[#lines + 1] = wrap(incident.reason, "   ")
    end
    return table.concat(lines, "\n") .. "\n"
end

-- worst_first sorts by score, and incidents of one score by number.
local function worst_first(a, b)
    if a.score ~= b.score then
        return a.score > b.score
    end
    return a.incident < b.incident
end

local function summary_text(list, left_out, source)
    local lines, suspicious, shown = {}, 0, 0
    for _, incident in ipairs(list) do
        if incident.score <= grammar.anomalous then
            suspicious = suspicious + 1
        elseif shown < MOST then
            shown = shown + 1
            lines[#lines + 1] = describe(incident)
        end
    end
    local anomalous = #list - suspicious
    local head = anomalous == 0 and "Nothing anomalous in this capture.\n"
        or plural(anomalous, "incident") .. (anomalous > 1 and ", the worst first.\n" or ".\n")
    if suspicious > 0 then
        head = head .. ("Beside: %s, suspicious but not anomalous (filter: ai.anomaly.score >= 0.5).\n")
            :format(plural(suspicious, "event"))
    end
    if anomalous > shown or left_out > 0 then
        head = head .. ("%d more are not listed.\n"):format(anomalous - shown + left_out)
    end
    return head .. source .. "\n" .. table.concat(lines, "\n")
end

-- Menu items ---------------------------------------------------------------

local function summary()
    local list, left_out, source = noted_incidents(), 0, "According to the comments in the capture.\n"
    if #list == 0 then
        local problem
        list, problem = ask_incidents()
        if not list then
            show("Summary", "There are no verdicts to sum up: " .. problem .. ".\n")
            return
        end
        left_out, source = problem, ""
    end
    table.sort(list, worst_first)
    local buttons = {}
    for _, incident in ipairs(list) do
        if #buttons < BUTTONS and incident.score > grammar.anomalous then
            buttons[#buttons + 1] = {
                ("Show %d"):format(incident.incident),
                function() only("ai.incident", incident.incident) end,
            }
        end
    end
    if #buttons > 0 then
        buttons[#buttons + 1] = { "Show all", function() filter("ai.anomaly.score > 0.8") end }
    end
    show("Summary of this capture", summary_text(list, left_out, source), buttons)
end

-- current returns number and verdict of the selected packet, or nil after saying
-- why there is none.
local function current(title)
    local selected = ai.selected()
    if not selected then
        show(title, "Select a packet in the list first.\n")
    elseif not selected.verdict then
        show(title, ("There is no verdict on packet %d.\n"):format(selected.number))
    elseif not selected.verdict.score then
        local why = selected.verdict.status
        show(title, ("There is no verdict on packet %d: %s.\n"):format(selected.number, why))
    else
        return selected.number, selected.verdict
    end
end

local function explain()
    local number, verdict = current("Explain this packet")
    if not number then
        return
    end
    local paragraphs = {
        ("Packet %d: %s, %s\n"):format(number, grammar.headline(verdict), verdict.verdict)
            .. wrap(verdict.reason or "Nothing about it is unusual.", ""),
    }
    local part, buttons = {}, {}
    if verdict.incident then
        part[1] = ("It is part of incident %d, packets %d to %d."):format(
            verdict.incident, verdict.first or number, verdict.last or number)
        buttons[1] = {
            "Show the incident",
            function() only("ai.incident", verdict.incident) end,
        }
    end
    if verdict.flow then
        part[#part + 1] = ("Its conversation is flow %d."):format(verdict.flow)
        buttons[#buttons + 1] = {
            "Show the conversation",
            function() only("ai.flow", verdict.flow) end,
        }
    end
    if #part > 0 then
        paragraphs[2] = table.concat(part, "\n")
    end
    local name = ("Packet %d"):format(number)
    local seen, problem = await(name, "explain", number)
    paragraphs[#paragraphs + 1] = seen or wrap("What the model saw is not known: " .. problem .. ".", "")
    show(name, table.concat(paragraphs, "\n\n"), buttons)
end

local function filter_incident()
    local number, verdict = current("Filter for this incident")
    if not number then
        return
    elseif verdict.incident then
        only("ai.incident", verdict.incident)
    else
        show("Filter for this incident", ("Packet %d is not part of an incident.\n"):format(number))
    end
end

-- absolute returns a path that the user typed, as seen from their home folder.
local function absolute(path)
    local home = os.getenv("HOME") or ""
    path = path:gsub("^%s+", ""):gsub("%s+$", "")
    if path == "" or path:sub(1, 1) == "/" or path:match("^%a:[/\\]") then
        return path
    end
    return home .. "/" .. path:gsub("^~/", "")
end

local function exists(path)
    local file = io.open(path, "rb")
    return file and file:close()
end

-- beside returns a name for a file that is made of the capture.
local function beside(suffix)
    local path = await("", "path")
    if not path or path:match("^/proc/") or path:match("^/tmp/wireshark_") then
        path = (os.getenv("HOME") or ".") .. "/capture"
    end
    for _, ending in ipairs({ "gz", "zst", "pcapng", "pcap", "cap" }) do
        path = path:gsub("%." .. ending .. "$", "")
    end
    return path .. suffix
end

-- make has a file made of the capture where the user wants it, and calls done.
local function make(kind, title, suffix, done)
    local function work(path)
        local _, problem = await(title, kind, 0, path)
        if problem then
            show(title, ("%s was not written: %s.\n"):format(path, problem))
        else
            done(path)
        end
    end
    local native, why = ai.native()
    if not native then
        show(title, "This needs the annotator: " .. why .. ".\n")
        return
    end
    new_dialog("AI: " .. title, function(typed)
        local path = absolute(typed)
        if path == "" then
            return
        elseif exists(path) then
            show(title, path .. " is there already.\n", { { "Replace it", function() work(path) end } })
        else
            work(path)
        end
    end, { name = "File", value = beside(suffix) })
end

local function save()
    make("annotate", "Save annotated copy", "-annotated.pcapng", function(path)
        show("Save annotated copy", path .. "\n\nhas the verdicts as packet comments, for any Wireshark.\n", {
            { "Open it", function() open_capture_file(path, "") end },
        })
    end)
end

local function report()
    make("report", "Report", "-report.html", function(path)
        browser_open_url("file://" .. path)
        show("Report", path .. "\n\nis the report, which your browser is about to show.\n")
    end)
end

-- Feedback -----------------------------------------------------------------

local SAYS = { normal = "This is normal here", bad = "This is bad" }
local FIELDS = { -- of the dialog: what feedback is about, and why
    { "hosts", "Hosts (empty: all)" },
    { "service", "Service (empty: all)" },
    { "type", "Type (empty: all)" },
    { "why", "Why" },
}
local scope_readers = { hosts = grammar.text, service = grammar.text, type = grammar.text }

-- undo takes a rule back.
local function undo(id)
    local title = ("Rule %d"):format(id)
    local answer, problem = await(title, "undo", id)
    if not answer then
        show(title, ("Rule %d is still there: %s.\n"):format(id, problem))
    else
        show(title, ("Rule %d is undone.\n"):format(id), { { "Show it here", redissect_packets } })
    end
end

-- said tells what has become of feedback, and how it is seen.
local function said(title, id, scope, verdict)
    local seen = "It holds for captures that are opened from now on, and for this one when judged again."
    local buttons = {
        { "Show it here", redissect_packets },
        { "Undo", function() undo(id) end },
    }
    if verdict.source == "comment" then
        seen = "What the comments in this capture say stays: annotate the capture again. "
            .. "Others that are opened from now on go by it."
        table.remove(buttons, 1)
    end
    show(title, ("Rule %d: %s.\n\n%s\n"):format(id, scope, wrap(seen, "")), buttons)
end

-- ask_feedback asks what feedback is about, where values are what it may be.
local function ask_feedback(says, values, verdict)
    local title, fields = SAYS[says], {}
    for i, field in ipairs(FIELDS) do
        fields[i] = { name = field[2], value = values[field[1]] or "" }
    end
    new_dialog("AI: " .. title, function(...)
        local typed, lines = {}, { "says=" .. says }
        for i, field in ipairs(FIELDS) do
            typed[field[1]] = select(i, ...)
            lines[#lines + 1] = field[1] .. "=" .. (typed[field[1]]:gsub("%c", " "))
        end
        local answer, problem = await(title, "feedback", 0, table.concat(lines, "\n"))
        local id, scope = (answer or ""):match("^(%d+)\n(.*)$")
        if id then
            said(title, tonumber(id), scope, verdict)
        else
            show(title, ("Nothing was noted: %s.\n"):format(problem or "no answer"), {
                { "Change it", function() ask_feedback(says, typed, verdict) end },
            })
        end
    end, table.unpack(fields))
end

-- feedback returns the menu item that has somebody say something of the selected
-- packet, and of those like it.
local function feedback(says)
    return function()
        local title = SAYS[says]
        local number, verdict = current(title)
        if not number then
            return
        end
        local line, problem = await(title, "propose", number)
        if not line then
            show(title, ("This needs the annotator: %s.\n"):format(problem))
            return
        end
        local values = grammar.read_pairs(line, scope_readers, {})
        values.hosts = (values.hosts or ""):gsub(",", ", ")
        ask_feedback(says, values, verdict)
    end
end

-- guarded keeps a bug here from costing more than its own window.
local function guarded(action)
    return function()
        local ok, problem = pcall(action)
        if not ok then
            show("Bug in ai_menu.lua", tostring(problem) .. "\n")
        end
    end
end

local ITEMS = {
    { "Summary of this capture", summary },
    { "Explain this packet", explain, packet = true },
    { "Apply filter for this incident", filter_incident, packet = true },
    { "Save annotated copy", save },
    { "Report", report },
    { "This is normal here...", feedback("normal"), packet = true },
    { "This is bad...", feedback("bad"), packet = true },
}
for _, item in ipairs(ITEMS) do
    register_menu("AI/" .. item[1], guarded(item[2]), MENU_TOOLS_UNSORTED)
    if item.packet and register_packet_menu then -- since 4.2
        register_packet_menu("AI/" .. item[1], guarded(item[2]), "ai")
    end
end
