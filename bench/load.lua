-- The load of one run: GET with an access token of each client in turn, and with a proof that is used once.
-- wrk … -s load.lua URL -- CONNECTIONS SCHEME TOKENS PROOFS [DELAY]   (`none` where there is none; DELAY: milliseconds of rest)

dofile(debug.getinfo(1, 'S').source:match('^@(.*/)') .. 'result.lua')

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
  scheme = args[2]
  tokens = lines(args[3])
  proofs = args[4] ~= 'none' and io.open(args[4]) or nil
  local rest = tonumber(args[5]) or 0
  -- Spread, or connections would move in step.
  if rest > 0 then
    delay = function() return math.floor(rest * 2 * math.random() + 0.5) end
  end
  expect(tonumber(args[1]))
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
