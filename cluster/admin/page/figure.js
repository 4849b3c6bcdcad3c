// Figures as people read them: three digits that matter, and a unit.

export const count = n => (n || 0).toLocaleString('en');

export function perSecond(n) {
  if (n === null) return '–'; // not known yet
  if (!n) return '0';
  return n < 10 ? n.toFixed(1) : count(Math.round(n));
}

export function duration(ns) {
  if (!ns) return '0';
  const units = [[1e9, ' s'], [1e6, ' ms'], [1e3, ' µs'], [0, ' ns']];
  const [size, unit] = units.find(([s]) => ns >= s);
  const v = ns / (size || 1);
  return (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)) + unit;
}

export const bytes = n => (n / 2 ** 20).toFixed(n < 100 * 2 ** 20 ? 1 : 0) + ' MiB';

export const percent = share => (share * 100).toFixed(share < 0.1 ? 1 : 0) + ' %';

// since is the time from one moment to another.
export function since(from, to) {
  const s = Math.round((Date.parse(to) - Date.parse(from)) / 1000);
  if (!(s >= 0)) return '–';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}
