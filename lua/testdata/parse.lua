-- Reads comments from standard input, each after a line with its length in
-- bytes, and prints what ai.lua (the first argument) makes of each: one line
-- per value, then a line with a dot. With a second argument, in that locale.
if arg[2] then
    assert(os.setlocale(arg[2]), "no such locale")
end
local ai = assert(dofile(arg[1]))
for length in function() return io.read("*l") end do
    local comment = length == "0" and "" or io.read(tonumber(length))
    local verdict, problem = ai.parse(comment)
    for key, value in pairs(verdict or {}) do
        if type(value) == "number" then -- in thousandths, as no locale spells integers differently
            value = ("%d"):format(math.floor(value * 1000 + 0.5))
        end
        print(key .. "=" .. value)
    end
    if verdict then
        print("headline=" .. ai.headline(verdict))
    elseif problem then
        print("problem=" .. problem)
    end
    print(".")
end
