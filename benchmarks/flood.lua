-- Arguments: FEED MOST. A line of the feed is the address that a request says it comes from, a tab and its body; all
-- are sent again and again, MOST of them at most. Reports lines "## name<TAB>value".

local requests, position, most = {}, 0, 0
local threads = {}
accepted, refused, held_up, failed, complaint = 0, 0, 0, 0, ""

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   most = tonumber(args[2])
   wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
   for line in io.lines(args[1]) do
      local address, body = line:match("^(%S+)\t(.*)$")
      wrk.headers["X-Forwarded-For"] = address
      requests[#requests + 1] = wrk.format("POST", wrk.path, wrk.headers, body)
   end
end

function request()
   position = position + 1
   return requests[(position - 1) % #requests + 1]
end

function response(status, headers, body)
   if status == 429 then
      held_up = held_up + 1
   elseif status >= 400 and status < 500 then
      refused = refused + 1
   elseif status >= 200 and status < 300 then
      accepted = accepted + 1
   else
      failed = failed + 1
      complaint = status .. " " .. body:sub(1, 300):gsub("%s+", " ")
   end
   if accepted + refused + held_up + failed >= most then
      wrk.thread:stop()
   end
end

function done(summary)
   io.write("## duration\t", string.format("%d", summary.duration), "\n")
   for _, name in ipairs({"accepted", "refused", "held_up", "failed", "complaint"}) do
      io.write("## ", name, "\t", tostring(threads[1]:get(name)), "\n")
   end
end
