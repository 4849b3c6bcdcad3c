
/** farm.v1.Farm.Barn */
export interface Farm_Barn {
  farm?: Farm;
}

/** farm.v1.Farm */
export interface Farm {
  isOpen?: boolean;
  i32?: number;
  s32?: number;
  f32?: number;
  u32?: number;
  i64?: string; // int64 in a string
  sf64?: string; // int64 in a string
  u64?: string; // uint64 in a string
  fx64?: string; // uint64 in a string
  float?: number | "NaN" | "Infinity" | "-Infinity";
  double?: number | "NaN" | "Infinity" | "-Infinity";
  text?: string;
  raw?: string; // base64
  crop?: "CROP_NONE" | "CROP_RYE" | number;
  crops?: ("CROP_NONE" | "CROP_RYE" | number)[];
  sums?: string[]; // int64 in a string
  barn?: Farm_Barn;
  barns?: { [key: string]: Farm_Barn };
  at?: string; // RFC 3339
  for?: string;
  maybe?: string; // uint64 in a string
  bools?: boolean[];
  free?: { [key: string]: unknown };
  value?: unknown;
  values?: unknown[];
  null?: unknown[];
  mask?: string;
}
