// Preloaded into Portkey: it listens on every interface and has no option for that; a benchmark stays on loopback.
const net = require("node:net");
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (first, ...rest) {
  if (first !== null && typeof first === "object") return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
  const others = rest.filter((argument) => typeof argument !== "string" && argument !== undefined);
  return listen.call(this, first, "127.0.0.1", ...others);
};
