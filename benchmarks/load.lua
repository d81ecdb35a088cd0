-- Arguments: METHOD FEED body|path once|cycle [HEADER VALUE]...
-- A line "! FILE WORD" of the feed is no request: when it is reached, the word is written to the file.
-- Reports lines "## name<TAB>value", latencies and duration in microseconds.

local requests, position, once, harmless = {}, 0, false, ""
local threads = {}
not_2xx, dry, complaint = 0, 0, ""

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   local method, feed, feeds = args[1], args[2], args[3]
   once = args[4] == "once"
   harmless = wrk.format("GET", "/")
   for i = 5, #args, 2 do
      wrk.headers[args[i]] = args[i + 1]
   end
   -- Formatting here keeps the driver's own work out of the timed part.
   for line in io.lines(feed) do
      local path, body = wrk.path, line
      if feeds == "path" then
         path, body = line, nil
      end
      local file, word = line:match("^! (%S+) (%S+)$")
      requests[#requests + 1] = file and {file, word} or wrk.format(method, path, wrk.headers, body)
   end
end

local function note(file, word)
   local noted = assert(io.open(file, "w"))
   noted:write(word)
   noted:close()
end

function request()
   position = position + 1
   while type(requests[position]) == "table" do
      note(unpack(requests[position]))
      position = position + 1
   end
   if position > #requests then
      if once then
         -- Nothing is sent twice: refusals would be counted against whom they came from, in the next run too.
         dry = dry + 1
         return harmless
      end
      position = 1
   end
   return requests[position]
end

function response(status, headers, body)
   if status < 200 or status > 299 then
      if not_2xx == 0 then
         complaint = status .. " " .. body:sub(1, 300):gsub("%s+", " ")
      end
      not_2xx = not_2xx + 1
   end
end

local function report(name, value)
   io.write("## ", name, "\t", tostring(value), "\n")
end

function done(summary, latency)
   report("requests", string.format("%d", summary.requests))
   report("duration", string.format("%d", summary.duration))
   report("p50", latency:percentile(50))
   report("p99", latency:percentile(99))
   for _, name in ipairs({"connect", "read", "write", "timeout"}) do
      report(name, string.format("%d", summary.errors[name]))
   end
   report("not_2xx", string.format("%d", threads[1]:get("not_2xx")))
   report("dry", string.format("%d", threads[1]:get("dry")))
   report("complaint", threads[1]:get("complaint"))
end
