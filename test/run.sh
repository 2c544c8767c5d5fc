#!/usr/bin/env bash
# The whole proof: layout, lint, types, then every test, fastest first.
# `run.sh quick` stops before what needs the kernel for long (namespaces, real traffic).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

echo '# layout, lint, types'
prettier --check --log-level warn .
clang-format --dry-run -Werror bpf/*.c bpf/*.h bpf/loader/*.c bpf/loader/*.h test/traffic/*.c test/traffic/*.h test/deploy/*.c
eslint --max-warnings 0 src test bench deploy
tsc -p .

quick=(test/unit test/cli test/laws test/scenario test/abi test/docs test/datapath test/native test/kube test/demo bench)
slow=(test/cluster-self test/e2e test/deploy)

tests() {
	find "$@" -name '*.test.ts' 2>/dev/null | sort
}

echo '# tests'
if [ "${1:-}" = quick ]; then
	mapfile -t files < <(tests "${quick[@]}")
else
	bash test/fetch-promtool.sh
	mapfile -t files < <(tests "${quick[@]}" "${slow[@]}")
fi
exec node --test --test-concurrency=2 --test-timeout=300000 "${files[@]}"
