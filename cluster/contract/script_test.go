package contract

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// use is a program on everything, which compiles if it is right about what it may do and what not.
const use = `import type { Message, Request } from "./client.js";
import { Every, Tree, Echo, Nothing, class_, Field, UninterpretedOption, aside } from "./every.js";

declare function call<T, R>(request: Request<T, R>, body: T): Promise<R>;
declare function on<T>(message: Message<T>, heard: (body: T) => void): void;

export async function play(): Promise<number> {
  const every = await call(Tree, { name: "oak", kids: [{ name: "twig", kids: null }] });
  const numbers: number[] = [every.i64, every.u64, every.pair.length, every["odd name-1"]?.["a"]?.length ?? 0];
  const texts: string[] = [every.quoted, every.q_bool, every.at, every.o_text ?? "", every.where.x.toFixed()];
  // @ts-expect-error it is a string
  numbers.push(every.quoted);
  // @ts-expect-error it may be null
  numbers.push(every.list.length);
  // @ts-expect-error it may be missing
  texts.push(every.o_text);
  // @ts-expect-error it may be anything
  texts.push(every.raw);
  // @ts-expect-error the name is missing
  await call(Tree, { kids: null });
  // @ts-expect-error clients do not send it
  await call(Every, every);
  // @ts-expect-error it has no fields
  await call(Nothing, { a: 1 });
  const none: void = await call(class_, { Equals: 1, Class: 2, GetType: 3 });
  const echo: Echo = await call(Echo, { tree: null });
  const beside: aside = await call(Field, { kind: "TYPE_BOOL", options: [{ value: [1] }] });
  on(UninterpretedOption, (o) => numbers.push(o.doubleValue === "NaN" ? 0 : Number(o.positiveIntValue)));
  const more = none === undefined ? Tree.number : beside.x;
  return numbers.length + texts.length + (echo.tree?.kids?.length ?? 0) + more;
}
`

// compiler finds TypeScript's, which CI installs with the client's own.
func compiler(t *testing.T) string {
	t.Helper()
	tsc, err := filepath.Abs("../../gate/client/ts/node_modules/.bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tsc); err == nil {
		return tsc
	}
	if tsc, err = exec.LookPath("tsc"); err == nil {
		return tsc
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this needs TypeScript's compiler: npm ci in gate/client/ts")
	}
	t.Skip("this needs TypeScript's compiler: npm ci in gate/client/ts")
	return ""
}

func TestWhatIsGeneratedCompilesAndIsTyped(t *testing.T) {
	t.Parallel()
	tsc, c := compiler(t), every(t)
	client, err := os.ReadFile("../../gate/client/ts/src/message.ts")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, text := range map[string][]byte{
		"package.json":     []byte(`{"type":"module"}`),
		"module/client.ts": client, "module/use.ts": []byte(use),
		"module/every.ts": c.TypeScript(Module, "./client.js"),
		"plain/client.ts": client, "plain/use.ts": []byte(use),
		"plain/every.js":   c.TypeScript(JavaScript, "./client.js"),
		"plain/every.d.ts": c.TypeScript(Declarations, "./client.js"),
	} {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command(tsc, "--strict", "--exactOptionalPropertyTypes", "--verbatimModuleSyntax", "--isolatedModules",
		"--noUncheckedIndexedAccess", "--target", "ES2022", "--lib", "ES2022", "--module", "NodeNext",
		"--outDir", "out", "module/use.ts", "plain/use.ts")
	run.Dir = dir
	if text, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
