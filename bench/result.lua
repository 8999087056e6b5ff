-- Result of a run of wrk, with its statuses and the moment when all connections are open.

local started, answered, open = 0, 0, false
-- Of wrk, for its main thread: answers that were no success, by status.
refusals = {}

-- Behind a relay a request may wait for another handshake: each connection should have had its first answer.
local ANSWERS = 4

-- How many connections there are: all are open when as many requests are in flight.
function expect(connections)
  -- wrk asks for one request more, to look at it.
  started = -1
  local next = request
  request = function()
    started = started + 1
    if not open and started - answered >= connections and answered >= connections * ANSWERS then
      open = true
      io.stderr:write('OPEN ' .. answered .. '\n')
    end
    return next()
  end
end

function response(status)
  answered = answered + 1
  if status > 399 then refusals[status] = (refusals[status] or 0) + 1 end
end

local threads = {}

function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local failed = summary.errors
  local statuses = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get('refusals')) do statuses[#statuses + 1] = count .. ' of ' .. status end
  end
  io.write(string.format(
    'RESULT {"requests":%d,"duration":%d,"status":%d,"statuses":"%s","broken":%d,"p50":%d,"p99":%d,"mean":%d}\n',
    summary.requests, summary.duration, failed.status, table.concat(statuses, ', '),
    failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50), latency:percentile(99), latency.mean))
end
