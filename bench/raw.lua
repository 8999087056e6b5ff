-- Requests as they stand in a file, in turn, separated by the octet 30.
-- wrk … -s raw.lua URL -- CONNECTIONS FILE DELAY   (DELAY: milliseconds of rest)

dofile(debug.getinfo(1, 'S').source:match('^@(.*/)') .. 'result.lua')

local requests = {}
local sent = 0

function init(args)
  local file = io.open(args[2], 'rb')
  for one in file:read('*a'):gmatch('[^\30]+') do requests[#requests + 1] = one end
  file:close()
  local rest = tonumber(args[3])
  -- Spread, or connections would move in step.
  if rest > 0 then
    delay = function() return math.floor(rest * 2 * math.random() + 0.5) end
  end
  expect(tonumber(args[1]))
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end
