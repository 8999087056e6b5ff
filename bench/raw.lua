-- Requests as they stand in a file, in turn, separated by the octet 30.
-- wrk … -s raw.lua URL -- FILE DELAY   (DELAY: milliseconds of rest)

local requests = {}
local sent = 0

function init(args)
  local file = io.open(args[1], 'rb')
  for one in file:read('*a'):gmatch('[^\30]+') do requests[#requests + 1] = one end
  file:close()
  local rest = tonumber(args[2])
  -- Spread, or connections would move in step.
  if rest > 0 then
    delay = function() return math.floor(rest * 2 * math.random() + 0.5) end
  end
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration":%d,"status":%d,"broken":%d,"p50":%d,"p99":%d,"mean":%d}\n',
    summary.requests, summary.duration, failed.status, failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50), latency:percentile(99), latency.mean))
end
