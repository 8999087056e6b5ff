-- The load of one run: GET with an access token of each client in turn, and with a proof that is used once.
-- wrk … -s load.lua URL -- SCHEME TOKENS PROOFS [DELAY]   (`none` where there is none; DELAY: milliseconds of rest)

local scheme, tokens, proofs
local sent = 0

local function lines(path)
  local all = {}
  if path ~= 'none' then
    for line in io.lines(path) do all[#all + 1] = line end
  end
  return all
end

function init(args)
  scheme = args[1]
  tokens = lines(args[2])
  proofs = args[3] ~= 'none' and io.open(args[3]) or nil
  local rest = tonumber(args[4]) or 0
  -- Spread, or connections would move in step.
  if rest > 0 then
    delay = function() return math.floor(rest * 2 * math.random() + 0.5) end
  end
end

function request()
  sent = sent + 1
  local fields = {}
  if #tokens > 0 then
    fields['Authorization'] = scheme .. ' ' .. tokens[(sent - 1) % #tokens + 1]
  end
  if proofs then
    local proof = proofs:read('*l')
    if not proof then
      -- All proofs are used: the run ends here and what is in flight does not count.
      wrk.thread:stop()
      proof = 'used-up'
    end
    fields['DPoP'] = proof
  end
  return wrk.format('GET', nil, fields)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration":%d,"status":%d,"broken":%d,"p50":%d,"p99":%d,"mean":%d}\n',
    summary.requests, summary.duration, failed.status, failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50), latency:percentile(99), latency.mean))
end
