// The numbers of Meadow's messages, as sample/message.go and the modules have them.

const out = (number, name) => ({ number, name });
const request = (number, name, reply) => ({ number, name, reply });

export const Login = request(101, "Login", out(102, "LoggedIn"));
export const Balance = out(301, "Balance");

export const Say = request(1101, "Say", null);
export const Heard = out(1102, "Heard");

export const Fly = request(5001, "Fly", out(5002, "Flown"));
export const Snapshot = out(5003, "Snapshot");
export const Moved = out(5004, "Moved");
export const Left = out(5005, "Left");
export const Sparked = out(5006, "Sparked");
export const Collected = out(5007, "Collected");

export const Browse = request(5101, "Browse", out(5102, "Wares"));
export const Buy = request(5103, "Buy", out(5104, "Bought"));
export const Top = request(5201, "Top", out(5202, "Leaders"));
export const Give = request(5301, "Give", out(5302, "Given"));
export const Received = out(5303, "Received");
