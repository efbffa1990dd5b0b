# this machine -> a page of checks on the terminal


rule doctor:
    log:
        "logs/doctor.log",
    localrule: True
    message:
        "Checks of this machine"
    shell:
        "python -m workflow.scripts.doctor --log {log}"
