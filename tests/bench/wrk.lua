-- Requests for wrk: BENCH_PATCHES of every hundred are PATCHes, each on one of 10,000 users; the rest are GETs.
-- With BENCH_TELL the first answer that is not 2xx is shown (looking at answers costs wrk much, so it is not the rule).

local patches = tonumber(os.getenv("BENCH_PATCHES"))
local path = os.getenv("BENCH_PATH")
local fields = {
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"),
  ["Accept"] = "application/scim+json",
  ["User-Agent"] = "Okta SCIM Client 1.0.0",
}
local patch_fields = { ["Content-Type"] = "application/scim+json; charset=utf-8" }
local body = '{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],'
  .. '"Operations":[{"op":"replace","value":{"active":true}}]}'
local gets, writes = {}, {}
local sent = 0

function init(arguments)
  math.randomseed(20261124)
  for name, value in pairs(fields) do patch_fields[name] = value end
  for number = 1, 10000 do
    local target = string.format("%s/Users/%06d", path, number)
    gets[number] = wrk.format("GET", target, fields)
    writes[number] = wrk.format("PATCH", target, patch_fields, body)
  end
end

function request()
  sent = sent + 1
  -- Spread evenly: with 20, every fifth one.
  if (sent * patches) % 100 < patches then return writes[math.random(10000)] end
  return gets[math.random(10000)]
end

if os.getenv("BENCH_TELL") then
  local told = false
  function response(status, headers, answer)
    if not told and (status < 200 or status > 299) then
      told = true
      io.write(string.format("BAD %d %s\n", status, string.sub(answer, 1, 300)))
      io.flush()
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'SUMMARY {"requests": %d, "microseconds": %d, "bad_statuses": %d, "broken": %d, "timeouts": %d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write, errors.timeout
  ))
end
