#!/usr/bin/env bash
# Renders the kustomize overlays, for those who apply files and for the tests that run them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

mkdir -p rendered
for overlay in base kubeadm canary monitoring cleanup; do
  kubectl kustomize "kustomize/$overlay" > "rendered/$overlay.yaml"
done
