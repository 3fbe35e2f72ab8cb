-- Health of a user for Argo CD, which takes any kind that it does not know for healthy.
-- resource.customizations.health.causeway.dev_BrokerUser in the ConfigMap argocd-cm.
--
-- The condition Degraded is not Argo CD's Degraded: a region that is cut off must not stop the others.
local health = {status = "Progressing", message = "the operator has not seen this user yet"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "the last change has not been looked at yet"
  return health
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local function is_true(name)
  return found[name] ~= nil and found[name].status == "True"
end
local function text(name)
  local condition = found[name]
  return (condition.reason or "") .. ": " .. (condition.message or "")
end

if is_true("Stalled") then
  return {status = "Degraded", message = text("Stalled")}
end
if is_true("Reconciling") then
  health.message = text("Reconciling")
  return health
end
if is_true("Ready") then
  return {status = "Healthy", message = text("Ready")}
end
if found.Ready ~= nil then
  health.message = text("Ready")
end
return health
