// The numbers of Meadow's messages, as sample/message.go and the modules have them.
export const N = {
  LOGIN: 101,
  BALANCE: 301,
  SAY: 1101, HEARD: 1102,
  FLY: 5001, SNAPSHOT: 5003, MOVED: 5004, LEFT: 5005, SPARKED: 5006, COLLECTED: 5007,
  BROWSE: 5101, BUY: 5103,
  TOP: 5201,
  GIVE: 5301, RECEIVED: 5303,
};
