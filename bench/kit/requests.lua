-- For wrk: the same request again and again; each POST under an Idempotency-Key of its own.
--   wrk … -s requests.lua URL -- METHOD BODY name:value …
-- Its last line is JSON: how many were answered, and how many otherwise than with success.
local keys = 0

function init(arguments)
  wrk.method = arguments[1]
  if arguments[2] ~= "" then wrk.body = arguments[2] end
  for i = 3, #arguments do
    local name, value = arguments[i]:match("^([^:]+):(.*)$")
    wrk.headers[name] = value
  end
  math.randomseed(os.time())
  run = tostring(math.random(1, 1000000000))
end

function request()
  if wrk.method == "POST" then
    keys = keys + 1
    wrk.headers["Idempotency-Key"] = run .. "-" .. keys
  end
  return wrk.format()
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format('{"requests": %d, "refused": %d, "broken": %d, "p99_us": %d}', summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
