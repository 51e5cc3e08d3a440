"""ci_steps.py WORKFLOW NAME: what the step of that name of a GitHub workflow runs."""
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    workflow = yaml.safe_load(file)
steps = [step for job in workflow["jobs"].values() for step in job["steps"] if step.get("name") == sys.argv[2]]
if len(steps) != 1 or "run" not in steps[0]:
    sys.exit("%d steps are called %s" % (len(steps), sys.argv[2]))
print(steps[0]["run"])
