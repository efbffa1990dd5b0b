# From text to a verdict on small BitNet b1.58 models. What to build is in config.yaml and
# studies/, a study a file; how, in workflow/rules/, a file a phase; what each step does, in
# workflow/scripts/.
#
#   snakemake                           the study of this machine (config.yaml: study)
#   snakemake quick                     one study, by its name
#   snakemake results/h256_wd0.csv      one run, by its name
#   snakemake data                      its data alone, where there is a network
from snakemake.utils import min_version

min_version("9.0")


include: "workflow/common/config.smk"  # reads config.yaml and studies/, or refuses them


configfile: f"{workflow.basedir}/config.yaml"  # so that Snakemake's reports show it


report: "workflow/report/workflow.rst"


config = CONFIG  # with studies/, and what the command line changes


include: "workflow/common/paths.smk"
include: "workflow/common/sources.smk"
include: "workflow/common/inputs.smk"
include: "workflow/common/params.smk"
include: "workflow/common/recognise.smk"
include: "workflow/common/terminal.smk"


localrules:
    all,


STUDY = chosen_study()


rule all:
    default_target: True
    input:
        study_results(STUDY),


for _study in config["studies"]:

    rule:
        name:
            _study
        input:
            study_results(_study),
        localrule: True


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/doctor.smk"


onstart:
    check_files(workflow)
    ending.say(chosen(workflow))
    print(screen.fitted(announce(workflow)), flush=True)
    watch_trainings(workflow)


onsuccess:
    SCREEN.end()
    take_out(exported_folders(workflow))
    print("", screen.fitted(answer(workflow)), sep="\n", flush=True)


onerror:
    take_out(exported_folders(workflow))  # of the jobs that succeeded
