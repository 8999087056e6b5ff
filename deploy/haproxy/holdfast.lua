-- Asks Holdfast (listeners.*.mode: decide, dialect: forwarded) whether a request may pass. Fails closed.

local HOLDFAST = "http://127.0.0.1:9000/"

-- Set by every permitted answer, empty where there is no value: the client's own never pass.
local SET = { "authorization", "dpop", "x-auth-issuer", "x-auth-subject", "x-auth-client", "x-auth-scope",
              "x-auth-binding", "x-auth-thumbprint", "client-cert", "x-request-id" }
-- For the client, with the answer of the API.
local FOR_CLIENT = { "dpop-nonce", "ratelimit", "ratelimit-policy", "access-control-allow-origin",
                     "access-control-allow-credentials", "access-control-expose-headers", "vary", "x-request-id" }
-- Of one connection, and of the question itself.
local NOT_ASKED = { ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["host"] = true,
                    ["te"] = true, ["trailer"] = true, ["upgrade"] = true, ["expect"] = true, ["keep-alive"] = true,
                    ["forwarded"] = true, ["x-request-id"] = true, ["cf-client-cert-der-base64"] = true }

-- Fields by which a client could pass for somebody else, one name a line; a name that ends in * is a prefix.
local MANAGED, PREFIXES = {}, {}
for line in io.lines("managed-fields.txt") do
  local prefix = line:match("^(.+)%*$")
  if prefix then PREFIXES[#PREFIXES + 1] = prefix else MANAGED[line] = true end
end

local function is_managed(name)
  if MANAGED[name] then return true end
  for _, prefix in ipairs(PREFIXES) do
    if name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

local function lines_of(headers, name)
  local values = {}
  for at = 0, 1000 do
    local value = headers[name] and headers[name][at]
    if value == nil then break end
    values[#values + 1] = value
  end
  return values
end

-- The question: the client's fields as they came, and what describes the request in place of the client's own.
local function question(txn, headers)
  local asked = {}
  for name in pairs(headers) do
    if not NOT_ASKED[name] and name:sub(1, 12) ~= "x-forwarded-" then asked[name] = lines_of(headers, name) end
  end
  asked["x-forwarded-method"] = { txn.sf:method() }
  asked["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  asked["x-forwarded-host"] = lines_of(headers, "host")
  asked["x-forwarded-uri"] = { txn.sf:pathq() }
  asked["x-forwarded-for"] = { txn.sf:src() }
  if txn.f:ssl_c_used() == 1 then asked["cf-client-cert-der-base64"] = { txn.c:base64(txn.f:ssl_c_der()) } end
  return asked
end

local function refuse(txn, status, headers, body)
  local reply = txn:reply({ status = status, body = body or "" })
  for name in pairs(headers) do
    if name ~= "connection" and name ~= "content-length" and name ~= "transfer-encoding" and name ~= "keep-alive" then
      for _, value in ipairs(lines_of(headers, name)) do reply:add_header(name, value) end
    end
  end
  txn:done(reply)
end

core.register_action("holdfast", { "http-req" }, function(txn)
  local headers = txn.http:req_get_headers()
  local answer = core.httpclient():get({ url = HOLDFAST, headers = question(txn, headers), timeout = 5000 })
  if answer == nil or answer.status ~= 200 then
    local status = answer and tonumber((lines_of(answer.headers or {}, "x-holdfast-status"))[1]) or nil
    return refuse(txn, status or 503, answer and answer.headers or {}, answer and answer.body)
  end
  for name in pairs(headers) do
    if is_managed(name) then txn.http:req_del_header(name) end
  end
  for _, name in ipairs(SET) do
    local value = lines_of(answer.headers, name)[1]
    if value == nil or value == "" then txn.http:req_del_header(name) else txn.http:req_set_header(name, value) end
  end
  txn.http:req_set_header("x-forwarded-for", txn.sf:src())
  txn.http:req_set_header("x-forwarded-proto", txn.f:ssl_fc() == 1 and "https" or "http")
  txn.http:req_set_header("x-forwarded-host", lines_of(headers, "host")[1] or "")
  for _, name in ipairs(FOR_CLIENT) do
    local value = lines_of(answer.headers, name)[1]
    if value then txn:set_var("txn.holdfast_" .. name:gsub("-", "_"), value) end
  end
end)

-- Trailers can be neither read nor removed here, but they show: as more input than there is content. One octet of it ends a body in
-- chunks. A request that has trailers is broken off before its end, and its client reads 400.
local END = 1
local Trailers = { id = "trailers", flags = filter.FLT_CFG_FL_HTX }
Trailers.__index = Trailers

function Trailers:new() return setmetatable({ seen = false }, Trailers) end

function Trailers:http_headers(_, message)
  if not message.channel:is_resp() then filter.register_data_filter(self, message.channel) end
  return filter.CONTINUE
end

function Trailers:http_payload(_, message)
  if not message.channel:is_resp() and message:input() > #(message:body() or "") + END then self.seen = true end
end

function Trailers:http_end(_, message)
  if message.channel:is_resp() then return filter.CONTINUE end
  if self.seen then return filter.ERROR end
  filter.unregister_data_filter(self, message.channel)
  return filter.CONTINUE
end

core.register_filter("trailers", Trailers, function(trailers) return trailers end)
